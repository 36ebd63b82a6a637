/* Writes for ever: one file, or with "files" ever more of them, or with "hole" one byte far out. Ignores every error, and
   with "delete" it is frugal: each file is removed before the next, and it stops after a thousand. */
#include "task.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static char block[1 << 16];

int main(int count, char **arguments)
{
    const char *how = count > 1 ? arguments[1] : "bytes";
    if (!strcmp(how, "hole")) {
        int file = open(OUT "/hole", O_CREAT | O_WRONLY, 0666);
        pwrite(file, "x", 1, 1LL << 50);
    }
    FILE *whole = fopen(OUT "/whole", "w");
    for (int i = 0;; i++) {
        char name[64];
        snprintf(name, sizeof name, OUT "/%d", i);
        if (!strcmp(how, "bytes")) {
            fwrite(block, 1, sizeof block, whole);
            continue;
        }
        FILE *file = fopen(name, "w");
        if (!strcmp(how, "delete")) {
            fwrite(block, 1, sizeof block, file);
            fclose(file);
            unlink(name);
            if (i == 1000)
                break;
        } else if (file)
            fclose(file);
    }
    declare(OUT "/whole");
    return 0;
}
