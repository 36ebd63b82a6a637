/* One task of a picture: reads the scene, computes its tile, writes tile.ppm and computed.json. */
#include "scene.h"
#include "trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_EDGE 16384
#define MAX_PATH 1024

typedef struct {
    int columns, rows, width, height, grid, tile;
} Job;

static void fail(const char *form, ...)
{
    va_list values;
    va_start(values, form);
    vfprintf(stderr, form, values);
    va_end(values);
    fputc('\n', stderr);
    exit(2);
}

static int number(const char *what, const char *text, int least, int most)
{
    char *end;
    long value = text ? strtol(text, &end, 10) : 0;
    if (!text || end == text || *end || value < least || value > most)
        fail("%s must be a number from %d to %d, not %s", what, least, most, text ? text : "nothing");
    return (int)value;
}

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    if (!value || !*value)
        fail("%s is not set: this program runs as an iExec task", name);
    return value;
}

static Job read_job(int count, char **arguments)
{
    Job job = {1, 1, 640, 480, 2, -1};
    struct {
        const char *name;
        int *value, least;
    } options[] = {
        {"--columns", &job.columns, 1}, {"--rows", &job.rows, 1}, {"--width", &job.width, 1},
        {"--height", &job.height, 1},   {"--grid", &job.grid, 1}, {"--tile", &job.tile, 0},
    };
    for (int i = 1; i < count; i += 2) {
        size_t option = 0, known = sizeof options / sizeof *options;
        while (option < known && strcmp(arguments[i], options[option].name))
            option++;
        if (option == known)
            fail("unknown argument %s", arguments[i]);
        *options[option].value =
            number(options[option].name, i + 1 < count ? arguments[i + 1] : NULL, options[option].least, MAX_EDGE);
    }
    if (job.columns > job.width || job.rows > job.height)
        fail("the picture has fewer pixels than tiles");
    if (job.tile < 0)
        job.tile = number("IEXEC_BOT_TASK_INDEX", variable("IEXEC_BOT_TASK_INDEX"), 0, 0x7fffffff);
    if (job.tile >= job.columns * job.rows)
        fail("there is no tile %d among %d x %d", job.tile, job.columns, job.rows);
    return job;
}

/* Square root as gamma curve: close to 2.2, and exact. */
static unsigned char level(double light)
{
    double shown = light <= 0 ? 0 : square_root(light);
    return shown >= 1 ? 255 : (unsigned char)(shown * 255 + 0.5);
}

static FILE *create(const char *folder, const char *name)
{
    char path[MAX_PATH];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (!file)
        fail("cannot write %s", path);
    return file;
}

int main(int count, char **arguments)
{
    static Scene scene;
    char path[MAX_PATH];
    int line;
    const char *out = variable("IEXEC_OUT");
    Job job = read_job(count, arguments);

    snprintf(path, sizeof path, "%s/%s", variable("IEXEC_IN"), variable("IEXEC_INPUT_FILE_NAME_1"));
    const char *wrong = read_scene(path, &scene, &line);
    if (wrong)
        fail("the scene file, line %d: %s", line, wrong);

    /* Edges are rounded down, so that the tiles cover the picture whatever its size. */
    int column = job.tile % job.columns, row = job.tile / job.columns;
    int left = job.width * column / job.columns, right = job.width * (column + 1) / job.columns;
    int top = job.height * row / job.rows, bottom = job.height * (row + 1) / job.rows;
    size_t size = (size_t)(right - left) * (size_t)(bottom - top) * 3;
    unsigned char *pixels = malloc(size), *next = pixels;
    if (!pixels)
        fail("no memory for %d x %d pixels", right - left, bottom - top);

    Camera camera = camera_for(&scene, (double)job.width / job.height);
    for (int y = top; y < bottom; y++)
        for (int x = left; x < right; x++) {
            Vector light = pixel(&camera, x, y, job.width, job.height, job.grid);
            *next++ = level(light.x), *next++ = level(light.y), *next++ = level(light.z);
        }

    FILE *tile = create(out, "tile.ppm");
    fprintf(tile, "P6\n%d %d\n255\n", right - left, bottom - top);
    if (fwrite(pixels, 1, size, tile) != size || fclose(tile))
        fail("cannot write the tile");
    FILE *computed = create(out, "computed.json");
    fprintf(computed, "{\"deterministic-output-path\": \"%s/tile.ppm\"}\n", out);
    if (fclose(computed))
        fail("cannot write computed.json");
    return 0;
}
