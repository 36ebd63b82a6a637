/* Uses files in all the ways libc offers and stops at the first surprise, naming its line. */
#include "task.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "line %d: %s (errno %d: %s)\n", __LINE__, #condition, errno, strerror(errno)); \
            exit(1); \
        } \
    } while (0)

static void positions(void)
{
    int file = open(OUT "/positions", O_CREAT | O_EXCL | O_RDWR, 0666);
    char text[32] = {0};
    struct stat status;
    CHECK(file >= 0);
    CHECK(open(OUT "/positions", O_CREAT | O_EXCL | O_RDWR, 0666) < 0 && errno == EEXIST);
    CHECK(write(file, "hello world", 11) == 11);
    CHECK(lseek(file, 0, SEEK_CUR) == 11 && lseek(file, -5, SEEK_END) == 6);
    CHECK(read(file, text, sizeof text) == 5 && !strcmp(text, "world"));
    CHECK(pwrite(file, "J", 1, 0) == 1 && pread(file, text, 5, 0) == 5 && !memcmp(text, "Jello", 5));
    CHECK(lseek(file, -1, SEEK_SET) < 0 && errno == EINVAL);
    CHECK(lseek(file, 20, SEEK_SET) == 20 && write(file, "!", 1) == 1);
    CHECK(!fstat(file, &status) && status.st_size == 21 && S_ISREG(status.st_mode));
    CHECK(pread(file, text, 1, 15) == 1 && text[0] == 0);
    CHECK(!ftruncate(file, 5) && !fstat(file, &status) && status.st_size == 5);
    CHECK(!posix_fallocate(file, 0, 9) && !fstat(file, &status) && status.st_size == 9);
    CHECK(!fsync(file) && !close(file) && close(file) < 0 && errno == EBADF);
    file = open(OUT "/positions", O_WRONLY | O_APPEND);
    CHECK(write(file, "end", 3) == 3 && read(file, text, 1) < 0);
    CHECK(!close(file) && !stat(OUT "/positions", &status) && status.st_size == 12);
    file = open(OUT "/positions", O_RDONLY);
    CHECK(write(file, "x", 1) < 0 && errno == EBADF);
    CHECK(!close(file) && open(OUT "/positions", O_WRONLY | O_TRUNC) >= 0);
    CHECK(!stat(OUT "/positions", &status) && status.st_size == 0);
}

static void folders(void)
{
    CHECK(!mkdir(OUT "/deep", 0777) && mkdir(OUT "/deep", 0777) < 0 && errno == EEXIST);
    CHECK(mkdir(OUT, 0777) < 0 && errno == EEXIST);
    CHECK(!mkdir(OUT "/deep/er", 0777) && mkdir(OUT "/no/where", 0777) < 0 && errno == ENOENT);
    fclose(create(OUT "/deep/er/file"));
    CHECK(rmdir(OUT "/deep") < 0 && errno == ENOTEMPTY);
    CHECK(open(OUT "/deep/er/file/", O_RDONLY) < 0 && errno == ENOTDIR);
    CHECK(open(OUT "/deep", O_WRONLY | O_CREAT, 0666) < 0 && errno == EISDIR);
    CHECK(!rename(OUT "/deep/er", OUT "/moved") && !access(OUT "/moved/file", R_OK));
    CHECK(rename(OUT "/moved", OUT "/moved/itself") < 0 && errno == EINVAL);
    CHECK(!rmdir(OUT "/deep") && rmdir(OUT "/deep") < 0 && errno == ENOENT);
    CHECK(unlink(OUT "/moved") < 0);
    CHECK(!rename(OUT "/moved/file", OUT "/file") && !rmdir(OUT "/moved"));
    fclose(create(OUT "/other"));
    CHECK(!rename(OUT "/other", OUT "/file") && access(OUT "/other", R_OK) < 0 && errno == ENOENT);
    CHECK(!unlink(OUT "/file"));
    CHECK(open(OUT "/a:b", O_CREAT | O_WRONLY, 0666) < 0 && errno == EINVAL);
}

static void deleting_while_listing(void)
{
    int seen = 0;
    CHECK(!mkdir(OUT "/many", 0777));
    for (int i = 0; i < 300; i++) {
        char name[64];
        snprintf(name, sizeof name, OUT "/many/a_name_that_fills_the_buffer_%d", i);
        fclose(create(name));
    }
    DIR *folder = opendir(OUT "/many");
    CHECK(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        char name[512];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, OUT "/many/%s", entry->d_name);
        CHECK(!unlink(name));
        seen++;
    }
    closedir(folder);
    CHECK(seen == 300 && !rmdir(OUT "/many"));
}

static void an_open_file_outlives_its_name(void)
{
    char text[4] = {0};
    int file = open(OUT "/ghost", O_CREAT | O_RDWR, 0666);
    CHECK(write(file, "boo", 3) == 3 && !unlink(OUT "/ghost") && access(OUT "/ghost", F_OK) < 0);
    CHECK(pread(file, text, 3, 0) == 3 && !strcmp(text, "boo") && !close(file));
}

static void inputs(void)
{
    char text[64] = {0};
    int file = open("/iexec_in/greeting.txt", O_RDONLY);
    CHECK(file >= 0 && read(file, text, sizeof text) == 5 && !strcmp(text, "hello"));
    CHECK(read(file, text, sizeof text) == 0 && write(file, "x", 1) < 0 && errno == EBADF && !close(file));
    CHECK((file = open("/iexec_in/folder/inner.txt", O_RDONLY)) >= 0 && !close(file));
    CHECK((file = open("/iexec_in/folder/../greeting.txt", O_RDONLY)) >= 0 && !close(file));
    CHECK(open("/iexec_in/missing", O_RDONLY) < 0 && errno == ENOENT);
    CHECK(open("/etc/passwd", O_RDONLY) < 0 && errno == ENOENT);
    CHECK(open("/iexec_in/../../etc/passwd", O_RDONLY) < 0);
    CHECK(symlink("/iexec_in", OUT "/link") < 0 && link("/iexec_in/greeting.txt", OUT "/link") < 0);
    CHECK(read(0, text, 1) == 0 && !isatty(1));
}

static void too_many_descriptors(void)
{
    int last = -1, count = 0;
    for (int file; (file = open("/iexec_in/greeting.txt", O_RDONLY)) >= 0; count++)
        last = file;
    CHECK(errno == EMFILE && count > 200);
    for (; last > 5; last--)
        close(last);
}

int main(void)
{
    positions();
    folders();
    deleting_while_listing();
    an_open_file_outlives_its_name();
    inputs();
    too_many_descriptors();
    FILE *out = create(OUT "/result.txt");
    fputs("all as expected\n", out);
    fclose(out);
    declare(OUT "/result.txt");
    return 0;
}
