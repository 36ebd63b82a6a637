/* The light that reaches a point of the picture. */
#ifndef TRACE_H
#define TRACE_H

#include "scene.h"

typedef struct {
    const Scene *scene;
    Vector corner, right, down; /* the picture in space: its upper left corner and its two edges */
} Camera;

/* A camera for pictures whose width is `aspect` times their height. */
Camera camera_for(const Scene *scene, double aspect);

/* Colour of pixel (x, y) of a picture of width x height: the mean of a few points in it, and of grid x grid more where
   those differ. A pixel is the same whichever part of the picture is computed with it. */
Vector pixel(const Camera *camera, int x, int y, int width, int height, int grid);

#endif
