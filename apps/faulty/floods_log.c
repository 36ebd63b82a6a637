/* Prints ten megabytes, and delivers a result. */
#include "task.h"

#include <string.h>

int main(void)
{
    static char line[1 << 16];
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\n';
    fputs("first line\n", stdout);
    for (int i = 0; i < 160; i++)
        fwrite(line, 1, sizeof line, stdout);
    fclose(create(OUT "/result.txt"));
    declare(OUT "/result.txt");
    return 0;
}
