/* Takes memory until there is no more: a mebibyte at a time, then exits with 1; with "abort" it aborts instead. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *volatile last;

int main(int count, char **arguments)
{
    for (;;) {
        void *block = malloc(1 << 20);
        if (!block) {
            fputs("out of memory\n", stderr);
            if (count > 1 && !strcmp(arguments[1], "abort"))
                abort();
            return 1;
        }
        memset(block, 1, 1 << 20);
        last = block;
    }
}
