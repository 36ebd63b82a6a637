/* Crashes: by an unreachable instruction, or by recursing for ever with "stack". */
#include <string.h>

static int deeper(volatile int depth)
{
    volatile char room[256];
    memset((void *)room, depth, sizeof room);
    return depth < 0 ? 0 : deeper(depth + 1) + room[depth % 256];
}

int main(int count, char **arguments)
{
    if (count > 1 && !strcmp(arguments[1], "stack"))
        return deeper(0);
    __builtin_trap();
}
