/* The smallest real application: its result is its arguments, one a line. */
#include <stdio.h>
#include <stdlib.h>

static FILE *create(const char *folder, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    if (!file) {
        perror(path);
        exit(2);
    }
    return file;
}

int main(int count, char **arguments)
{
    const char *out = getenv("IEXEC_OUT");
    if (!out) {
        fputs("IEXEC_OUT is not set: this program runs as an iExec task\n", stderr);
        return 2;
    }
    FILE *result = create(out, "result.txt");
    for (int i = 1; i < count; i++)
        fprintf(result, "%s\n", arguments[i]);
    if (fclose(result))
        return 2;
    FILE *computed = create(out, "computed.json");
    fprintf(computed, "{\"deterministic-output-path\": \"%s/result.txt\"}\n", out);
    return fclose(computed) ? 2 : 0;
}
