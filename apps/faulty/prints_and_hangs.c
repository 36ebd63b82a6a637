/* Prints its argument, and never ends. */
#include <stdio.h>

int main(int count, char **arguments)
{
    puts(count > 1 ? arguments[1] : "");
    fflush(stdout);
    for (volatile unsigned i = 0;; i++)
        ;
}
