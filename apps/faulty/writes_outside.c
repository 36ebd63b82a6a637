/* Tries to change what is not its own: "write", "mkdir", "delete" or "move" with the path in its second argument. With
   "carry-on" as the third argument it then delivers a result all the same. */
#include "task.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int count, char **arguments)
{
    if (count < 3)
        return 2;
    const char *how = arguments[1], *path = arguments[2];
    int refused;
    if (!strcmp(how, "write"))
        refused = !fopen(path, "w");
    else if (!strcmp(how, "mkdir"))
        refused = mkdir(path, 0777);
    else if (!strcmp(how, "delete"))
        refused = unlink(path);
    else {
        fclose(create(OUT "/mine.txt"));
        refused = rename(OUT "/mine.txt", path);
    }
    fprintf(stderr, "%s %s: %s\n", how, path, refused ? strerror(errno) : "done");
    if (count > 3) {
        fclose(create(OUT "/result.txt"));
        declare(OUT "/result.txt");
        return 0;
    }
    return refused ? 1 : 0;
}
