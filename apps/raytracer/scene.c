/* Reading scene files: one thing a line, words and numbers separated by blanks, # begins a comment. */
#include "scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LINE 512
#define MAX_WORDS 24
#define MAX_CLUSTER 3

static int numbers(char **words, int count, double *values)
{
    for (int i = 0; i < count; i++) {
        char *end;
        values[i] = strtod(words[i], &end);
        /* Infinities and NaNs are refused by being unequal to themselves or beyond any scene. */
        if (end == words[i] || *end || !(values[i] > -1e9 && values[i] < 1e9))
            return 0;
    }
    return 1;
}

static const Material *find_material(const Scene *scene, const char *name)
{
    for (int i = 0; i < scene->material_count; i++)
        if (!strcmp(scene->materials[i].name, name))
            return &scene->materials[i];
    return NULL;
}

static Vector at(const double *values) { return vector(values[0], values[1], values[2]); }

static const char *read_material(Scene *scene, char **words, int count)
{
    double v[9];
    if ((count != 8 && count != 11) || !numbers(words + 2, count - 2, v))
        return "a material is: material NAME r g b mirror gloss refraction [r g b]";
    if (v[3] < 0 || v[3] > 1 || v[4] < 0 || v[4] > 1 || (v[5] != 0 && v[5] < 1))
        return "mirror and gloss go from 0 to 1, and refraction is 0 or at least 1";
    if (scene->material_count == MAX_MATERIALS || strlen(words[1]) >= MAX_NAME || find_material(scene, words[1]))
        return "too many materials, too long a name, or a name used twice";
    Material *material = &scene->materials[scene->material_count++];
    strcpy(material->name, words[1]);
    material->colour = at(v);
    material->second_colour = at(count == 11 ? v + 6 : v);
    material->mirror = v[3];
    material->gloss = v[4];
    material->refraction = v[5];
    return NULL;
}

static const char *read_sphere(Scene *scene, char **words, int count)
{
    double v[4];
    if (count != 6 || !numbers(words + 1, 4, v) || v[3] <= 0)
        return "a sphere is: sphere x y z radius MATERIAL";
    if (scene->sphere_count == MAX_SPHERES)
        return "too many spheres";
    const Material *material = find_material(scene, words[5]);
    if (!material)
        return "no such material above this line";
    scene->spheres[scene->sphere_count++] = (Sphere){at(v), v[3], material};
    return NULL;
}

static const char *read_words(Scene *scene, char **words, int count)
{
    double v[7];
    if (!strcmp(words[0], "material"))
        return read_material(scene, words, count);
    if (!strcmp(words[0], "sphere"))
        return read_sphere(scene, words, count);
    if (!strcmp(words[0], "camera")) {
        if (count != 8 || !numbers(words + 1, 7, v) || v[6] <= 0)
            return "a camera is: camera eye-x y z target-x y z zoom";
        scene->eye = at(v), scene->target = at(v + 3), scene->zoom = v[6];
    } else if (!strcmp(words[0], "light")) {
        if (count != 8 || !numbers(words + 1, 7, v) || v[3] < 0)
            return "a light is: light x y z radius r g b";
        scene->light = at(v), scene->light_radius = v[3], scene->light_colour = at(v + 4);
    } else if (!strcmp(words[0], "sky")) {
        if (count != 8 || !numbers(words + 1, 7, v))
            return "a sky is: sky horizon-r g b zenith-r g b ambient";
        scene->horizon = at(v), scene->zenith = at(v + 3), scene->ambient = v[6];
    } else if (!strcmp(words[0], "floor")) {
        if (count != 4 || !numbers(words + 1, 2, v) || v[1] < 0.01)
            return "a floor is: floor height square MATERIAL, with a square of at least 0.01";
        scene->floor_height = v[0], scene->floor_square = v[1];
        scene->floor = find_material(scene, words[3]);
        return scene->floor ? NULL : "no such material above this line";
    } else
        return "unknown word; there are camera, light, sky, floor, material, sphere";
    return NULL;
}

static double along(Vector v, int axis) { return axis == 0 ? v.x : axis == 1 ? v.y : v.z; }

static double larger(double a, double b) { return a > b ? a : b; }

/* Cut the spheres from `first` to before `end` in two halves along their longest extent, until few are left. */
static void cluster(Scene *scene, int first, int end)
{
    Sphere *spheres = scene->spheres;
    Vector low = spheres[first].centre, high = low;
    for (int i = first; i < end; i++) {
        Vector c = spheres[i].centre;
        low = vector(-larger(-low.x, -c.x), -larger(-low.y, -c.y), -larger(-low.z, -c.z));
        high = vector(larger(high.x, c.x), larger(high.y, c.y), larger(high.z, c.z));
    }
    Vector size = subtract(high, low);
    if (end - first <= MAX_CLUSTER) {
        Cluster found = {scale(add(low, high), 0.5), 0, first, end};
        for (int i = first; i < end; i++) {
            Vector to = subtract(spheres[i].centre, found.centre);
            found.radius = larger(found.radius, square_root(dot(to, to)) + spheres[i].radius);
        }
        found.radius *= 1.000001; /* roundings must not let a ray slip by */
        scene->clusters[scene->cluster_count++] = found;
        return;
    }
    int axis = size.x >= size.y && size.x >= size.z ? 0 : size.y >= size.z ? 1 : 2;
    for (int i = first + 1; i < end; i++) {
        Sphere moved = spheres[i];
        int at = i;
        for (; at > first && along(spheres[at - 1].centre, axis) > along(moved.centre, axis); at--)
            spheres[at] = spheres[at - 1];
        spheres[at] = moved;
    }
    cluster(scene, first, (first + end) / 2);
    cluster(scene, (first + end) / 2, end);
}

const char *read_scene(const char *path, Scene *scene, int *line)
{
    char text[MAX_LINE];
    const char *wrong = NULL;
    FILE *file = fopen(path, "r");
    *line = 0;
    if (!file)
        return "cannot be opened";
    memset(scene, 0, sizeof *scene);
    while (!wrong && fgets(text, sizeof text, file)) {
        char *words[MAX_WORDS];
        int count = 0;
        ++*line;
        if (strlen(text) == MAX_LINE - 1) {
            wrong = "the line is too long";
            break;
        }
        text[strcspn(text, "#")] = 0;
        for (char *word = strtok(text, " \t\r\n"); word && count < MAX_WORDS; word = strtok(NULL, " \t\r\n"))
            words[count++] = word;
        if (count)
            wrong = read_words(scene, words, count);
    }
    if (!wrong && ferror(file))
        wrong = "cannot be read";
    fclose(file);
    if (wrong)
        return wrong;
    if (scene->zoom == 0)
        return "there is no camera";
    Vector aside = cross(vector(0, 1, 0), subtract(scene->target, scene->eye));
    if (dot(aside, aside) == 0)
        return "the camera looks straight up or down";
    if (scene->sphere_count)
        cluster(scene, 0, scene->sphere_count);
    return NULL;
}
