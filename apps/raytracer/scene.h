/* What a scene file describes; README.md gives its form. */
#ifndef SCENE_H
#define SCENE_H

#include "vector.h"

#define MAX_SPHERES 256
#define MAX_MATERIALS 64
#define MAX_NAME 32

typedef struct {
    char name[MAX_NAME];
    Vector colour;
    Vector second_colour; /* of a floor's other squares */
    double mirror;        /* share of light reflected, 0 to 1 */
    double gloss;         /* strength of the highlight, 0 to 1 */
    double refraction;    /* index of refraction; 0 for what is not transparent */
} Material;

typedef struct {
    Vector centre;
    double radius;
    const Material *material;
} Sphere;

/* Neighbouring spheres and a ball around them: a ray that misses the ball misses them all. */
typedef struct {
    Vector centre;
    double radius;
    int first, end;
} Cluster;

typedef struct {
    Vector eye, target;
    double zoom; /* distance of the picture from the eye, in picture heights */
    Vector zenith, horizon;
    Vector light, light_colour;
    double light_radius;
    double ambient;
    double floor_height, floor_square;
    const Material *floor; /* NULL if there is none */
    Material materials[MAX_MATERIALS];
    int material_count;
    Sphere spheres[MAX_SPHERES];
    int sphere_count;
    Cluster clusters[MAX_SPHERES];
    int cluster_count;
} Scene;

/* Read a scene. Returns NULL, or what is wrong with the file; *line is then the line where. */
const char *read_scene(const char *path, Scene *scene, int *line);

#endif
