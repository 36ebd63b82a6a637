/* Ends well without a result; its argument, if any, becomes computed.json word for word. */
#include "task.h"

int main(int count, char **arguments)
{
    if (count > 1) {
        FILE *computed = create(OUT "/computed.json");
        fputs(arguments[1], computed);
        fclose(computed);
    }
    return 0;
}
