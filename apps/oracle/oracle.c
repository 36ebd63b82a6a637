/* An application for contracts: the bytes it is given as hexadecimal text are what the deal's callback receives. */
#include <stdio.h>
#include <stdlib.h>

int main(int count, char **arguments)
{
    const char *out = getenv("IEXEC_OUT");
    if (!out || count != 2) {
        fputs("usage: oracle 0x<hexadecimal digits>, as an iExec task\n", stderr);
        return 2;
    }
    char path[256];
    snprintf(path, sizeof path, "%s/computed.json", out);
    FILE *computed = fopen(path, "w");
    if (!computed) {
        perror(path);
        return 2;
    }
    fprintf(computed, "{\"callback-data\": \"%s\"}\n", arguments[1]);
    printf("answered %s\n", arguments[1]);
    return fclose(computed) ? 2 : 0;
}
