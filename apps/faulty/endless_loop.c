/* Never ends. With "calls" it loops over system calls, with "sleep" it waits for ever. */
#include <string.h>
#include <time.h>
#include <unistd.h>

int main(int count, char **arguments)
{
    if (count > 1 && !strcmp(arguments[1], "calls"))
        for (;;)
            time(NULL);
    if (count > 1 && !strcmp(arguments[1], "sleep"))
        for (;;)
            sleep(3600);
    for (volatile unsigned i = 0;; i++)
        ;
}
