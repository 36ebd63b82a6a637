/* Writes down everything in which two runs of a program usually differ. */
#include "task.h"

#include <dirent.h>
#include <math.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void clocks(FILE *out)
{
    const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC};
    for (int i = 0; i < 2; i++) {
        struct timespec now, resolution;
        clock_gettime(clocks[i], &now);
        clock_getres(clocks[i], &resolution);
        fprintf(out, "clock %d: %lld.%09ld, resolution %ld ns\n", i, (long long)now.tv_sec, now.tv_nsec,
                resolution.tv_nsec);
    }
    struct timespec before, after, nap = {86400, 5};
    clock_gettime(CLOCK_MONOTONIC, &before);
    nanosleep(&nap, NULL);
    clock_gettime(CLOCK_MONOTONIC, &after);
    fprintf(out, "slept %lld s\n", (long long)(after.tv_sec - before.tv_sec));
}

static void randomness(FILE *out)
{
    unsigned char bytes[32];
    getentropy(bytes, sizeof bytes);
    fputs("random ", out);
    for (size_t i = 0; i < sizeof bytes; i++)
        fprintf(out, "%02x", bytes[i]);
    fputs("\n", out);
}

static void folder(FILE *out, const char *path)
{
    DIR *folder = opendir(path);
    if (!folder) {
        perror(path);
        exit(1);
    }
    for (struct dirent *entry; (entry = readdir(folder));) {
        char child[512];
        struct stat status;
        snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
        if (!strcmp(entry->d_name, "..") || stat(child, &status))
            continue;
        fprintf(out, "%s: inode %llu, device %llu, size %lld, links %llu, times %lld %lld %lld\n", child,
                (unsigned long long)status.st_ino, (unsigned long long)status.st_dev, (long long)status.st_size,
                (unsigned long long)status.st_nlink, (long long)status.st_atim.tv_sec,
                (long long)status.st_mtim.tv_sec, (long long)status.st_ctim.tv_sec);
    }
    closedir(folder);
}

static void not_a_number(FILE *out)
{
    volatile double zero = 0.0, infinity = 1.0 / zero;
    double results[] = {zero / zero, infinity - infinity, -(zero / zero) * 2.0, sqrt(zero - 1.0)};
    for (size_t i = 0; i < sizeof results / sizeof *results; i++) {
        uint64_t bits;
        memcpy(&bits, &results[i], sizeof bits);
        fprintf(out, "nan %016llx\n", (unsigned long long)bits);
    }
}

int main(int count, char **arguments)
{
    FILE *out = create(OUT "/probe.txt");
    /* Made in an order that is not their names'. */
    fclose(create(OUT "/z"));
    fclose(create(OUT "/a"));
    for (int i = 0; i < count; i++)
        fprintf(out, "argument %s\n", arguments[i]);
    extern char **environ;
    for (char **variable = environ; *variable; variable++)
        fprintf(out, "variable %s\n", *variable);
    clocks(out);
    randomness(out);
    folder(out, "/");
    folder(out, "/iexec_in");
    fflush(out);
    folder(out, OUT);
    not_a_number(out);
    fprintf(out, "address %p\n", (void *)out);
    fclose(out);
    declare(OUT "/probe.txt");
    return 0;
}
