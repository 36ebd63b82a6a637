/* Following light backwards: from the eye, over mirrors and through glass, to the light and the sky. */
#include "trace.h"

#include <stddef.h>
#include <stdint.h>

#define FAR 1e30
#define NEAR 1e-6
#define MAX_BOUNCES 4
#define FAINTEST 0.02 /* share of a pixel below which a ray is not followed */
#define FIRST_GRID 2  /* samples taken of every pixel: 2 x 2 */
#define CALM 0.07     /* how far their light may spread before more are taken */
#define FADE 60.0     /* distance at which the floor has half faded into the horizon */

typedef struct {
    Vector from, along; /* `along` has length 1 */
} Ray;

typedef struct {
    double distance;
    Vector point, normal;
    const Material *material;
    Vector colour;
} Hit;

/* Numbers in [0, 1) that depend on nothing but their seed (PCG by M. E. O'Neill, 32-bit output). */
typedef struct {
    uint64_t state;
} Dice;

static double roll(Dice *dice)
{
    uint64_t old = dice->state;
    dice->state = old * 6364136223846793005ULL + 1442695040888963407ULL;
    uint32_t word = (uint32_t)(((old >> 18) ^ old) >> 27);
    uint32_t turn = (uint32_t)(old >> 59);
    word = (word >> turn) | (word << (-turn & 31));
    return word * (1.0 / 4294967296.0);
}

static int misses(Vector centre, double radius, Ray ray)
{
    Vector to = subtract(centre, ray.from);
    double middle = dot(to, ray.along), outside = dot(to, to) - radius * radius;
    return outside > 0 && (middle < 0 || middle * middle < outside);
}

/* Distance along the ray to the sphere, or FAR. */
static double reach(const Sphere *sphere, Ray ray)
{
    Vector to = subtract(sphere->centre, ray.from);
    double middle = dot(to, ray.along);
    double outside = dot(to, to) - sphere->radius * sphere->radius;
    double room = middle * middle - outside;
    if (room <= 0 || (middle < 0 && outside > 0))
        return FAR;
    double half = square_root(room);
    return middle - half > NEAR ? middle - half : middle + half > NEAR ? middle + half : FAR;
}

static double reach_floor(const Scene *scene, Ray ray)
{
    if (!scene->floor || (ray.along.y > -1e-9 && ray.along.y < 1e-9))
        return FAR;
    double distance = (scene->floor_height - ray.from.y) / ray.along.y;
    return distance > NEAR ? distance : FAR;
}

static int odd_square(const Scene *scene, Vector point)
{
    int64_t x = (int64_t)__builtin_floor(point.x / scene->floor_square);
    int64_t z = (int64_t)__builtin_floor(point.z / scene->floor_square);
    return (x + z) & 1;
}

static int nearest(const Scene *scene, Ray ray, Hit *hit)
{
    const Sphere *found = NULL;
    hit->distance = reach_floor(scene, ray);
    for (int c = 0; c < scene->cluster_count; c++) {
        const Cluster *cluster = &scene->clusters[c];
        if (misses(cluster->centre, cluster->radius, ray))
            continue;
        for (int i = cluster->first; i < cluster->end; i++) {
            double distance = reach(&scene->spheres[i], ray);
            if (distance < hit->distance)
                hit->distance = distance, found = &scene->spheres[i];
        }
    }
    if (hit->distance >= 1e6)
        return 0;
    hit->point = add(ray.from, scale(ray.along, hit->distance));
    if (found) {
        hit->normal = scale(subtract(hit->point, found->centre), 1.0 / found->radius);
        hit->material = found->material;
        hit->colour = found->material->colour;
    } else {
        hit->normal = vector(0, 1, 0);
        hit->material = scene->floor;
        hit->colour = odd_square(scene, hit->point) ? scene->floor->colour : scene->floor->second_colour;
    }
    return 1;
}

/* Share of light let through between a point and a place at `distance`; glass dims it a little. */
static double passing(const Scene *scene, Ray ray, double distance)
{
    double share = 1.0;
    for (int c = 0; c < scene->cluster_count; c++) {
        const Cluster *cluster = &scene->clusters[c];
        if (misses(cluster->centre, cluster->radius, ray))
            continue;
        for (int i = cluster->first; i < cluster->end; i++)
            if (reach(&scene->spheres[i], ray) < distance) {
                if (scene->spheres[i].material->refraction == 0)
                    return 0;
                share *= 0.75;
            }
    }
    return share;
}

static Vector sky(const Scene *scene, Vector along)
{
    double height = along.y < 0 ? 0 : along.y;
    return mix(scene->horizon, scene->zenith, square_root(height));
}

static Vector reflect(Vector along, Vector normal) { return subtract(along, scale(normal, 2 * dot(along, normal))); }

/* Light that comes straight from the lamp: one point of it is looked at, another for each ray, which makes soft shadows. */
static Vector lit(const Scene *scene, const Hit *hit, Ray ray, Vector normal, Dice *dice)
{
    Vector spot;
    do
        spot = vector(2 * roll(dice) - 1, 2 * roll(dice) - 1, 2 * roll(dice) - 1);
    while (dot(spot, spot) > 1);
    Vector to = subtract(add(scene->light, scale(spot, scene->light_radius)), hit->point);
    double distance = square_root(dot(to, to));
    Ray shadow = {hit->point, scale(to, 1.0 / distance)};
    double facing = dot(shadow.along, normal);
    Vector result = scale(hit->colour, scene->ambient * (0.6 + 0.4 * normal.y));
    if (facing <= 0)
        return result;
    double share = passing(scene, shadow, distance);
    if (share == 0)
        return result;
    result = add(result, scale(filter(hit->colour, scene->light_colour), facing * share));
    double shine = dot(reflect(ray.along, normal), shadow.along);
    if (shine > 0 && hit->material->gloss > 0) {
        for (int i = 0; i < 6; i++)
            shine *= shine; /* to the 64th power */
        result = add(result, scale(scene->light_colour, hit->material->gloss * share * shine));
    }
    return result;
}

static Vector seen(const Scene *scene, Ray ray, double share, int bounces, Dice *dice);

/* Glass: part is mirrored, more of it at a glance (Schlick's approximation), the rest is bent. */
static Vector through(const Scene *scene, const Hit *hit, Ray ray, double share, int bounces, Dice *dice)
{
    double cosine = -dot(ray.along, hit->normal);
    int entering = cosine > 0;
    Vector normal = entering ? hit->normal : scale(hit->normal, -1);
    double ratio = entering ? 1.0 / hit->material->refraction : hit->material->refraction;
    cosine = entering ? cosine : -cosine;
    double inside = 1 - ratio * ratio * (1 - cosine * cosine);
    Vector mirrored = reflect(ray.along, normal);
    if (inside <= 0)
        return seen(scene, (Ray){hit->point, mirrored}, share, bounces, dice);
    double base = (1 - ratio) / (1 + ratio), grazing = 1 - (entering ? cosine : square_root(inside));
    base *= base;
    double mirror = base + (1 - base) * grazing * grazing * grazing * grazing * grazing;
    Vector bent = add(scale(ray.along, ratio), scale(normal, ratio * cosine - square_root(inside)));
    Vector far = seen(scene, (Ray){hit->point, unit(bent)}, share * (1 - mirror), bounces, dice);
    Vector near = seen(scene, (Ray){hit->point, mirrored}, share * mirror, bounces, dice);
    return filter(add(scale(far, 1 - mirror), scale(near, mirror)), hit->colour);
}

/* What a ray sees, which has `share` of a pixel. */
static Vector seen(const Scene *scene, Ray ray, double share, int bounces, Dice *dice)
{
    Hit hit;
    if (share < FAINTEST || bounces > MAX_BOUNCES || !nearest(scene, ray, &hit))
        return sky(scene, ray.along);
    const Material *material = hit.material;
    if (material->refraction > 0)
        return through(scene, &hit, ray, share, bounces + 1, dice);
    Vector normal = dot(ray.along, hit.normal) > 0 ? scale(hit.normal, -1) : hit.normal;
    Vector result = material->mirror < 1 ? lit(scene, &hit, ray, normal, dice) : vector(0, 0, 0);
    if (material->mirror > 0) {
        double grazing = 1 + dot(ray.along, normal);
        double mirror = material->mirror + (1 - material->mirror) * grazing * grazing * grazing * grazing * grazing;
        Ray onward = {hit.point, reflect(ray.along, normal)};
        Vector reflected = seen(scene, onward, share * mirror, bounces + 1, dice);
        /* A metal colours what it mirrors, a polish does not. */
        Vector tint = mix(vector(1, 1, 1), hit.colour, material->mirror);
        result = mix(result, filter(reflected, tint), mirror);
    }
    if (material == scene->floor) {
        double far = hit.distance * hit.distance / (FADE * FADE);
        result = mix(result, scene->horizon, far / (1 + far));
    }
    return result;
}

Camera camera_for(const Scene *scene, double aspect)
{
    Vector forward = unit(subtract(scene->target, scene->eye));
    Vector right = unit(cross(vector(0, 1, 0), forward));
    Vector down = cross(right, forward);
    Vector centre = scale(forward, scene->zoom);
    Vector corner = subtract(subtract(centre, scale(right, aspect / 2)), scale(down, 0.5));
    return (Camera){scene, corner, scale(right, aspect), down};
}

typedef struct {
    Vector sum;
    double least, most; /* of the samples' brightness as shown */
} Samples;

/* Look at one point in each of grid x grid parts of a pixel. */
static void look(const Camera *camera, Samples *samples, int x, int y, int width, int height, int grid, Dice *dice)
{
    for (int row = 0; row < grid; row++)
        for (int column = 0; column < grid; column++) {
            double across = (x + (column + roll(dice)) / grid) / width;
            double along = (y + (row + roll(dice)) / grid) / height;
            Vector at = add(camera->corner, add(scale(camera->right, across), scale(camera->down, along)));
            Vector light = seen(camera->scene, (Ray){camera->scene->eye, unit(at)}, 1, 0, dice);
            double shown = square_root((light.x + light.y + light.z) / 3);
            samples->sum = add(samples->sum, light);
            samples->least = shown < samples->least ? shown : samples->least;
            samples->most = shown > samples->most ? shown : samples->most;
        }
}

Vector pixel(const Camera *camera, int x, int y, int width, int height, int grid)
{
    Dice dice = {((uint64_t)y << 32 | (uint32_t)x) * 0x9e3779b97f4a7c15ULL + 1};
    Samples samples = {vector(0, 0, 0), FAR, 0};
    int count = FIRST_GRID * FIRST_GRID;
    roll(&dice);
    look(camera, &samples, x, y, width, height, FIRST_GRID, &dice);
    if (samples.most - samples.least > CALM) {
        look(camera, &samples, x, y, width, height, grid, &dice);
        count += grid * grid;
    }
    return scale(samples.sum, 1.0 / count);
}
