/* SPDX-License-Identifier: MIT
 *
 * LD_PRELOAD: counts every durable call (open for write, write, truncate, fsync, rename, link, unlink, mkdir, rmdir, copy, reflink) on files
 * of one folder, over a process, its threads and its children, in a table that all of them share; kills the process group before call number
 * `target`, or lets the fsync of that number fail with EIO. tests/sweep/crashpoint.py is its other half and has the same table.
 *
 * Not seen: calls that do not go through libc's symbols (static programs, io_uring). SQLite, CPython and qemu-img do go through them.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS 4096
#define FICLONE_CODE 0x40049409

enum { OFF, KILL, FAIL_SYNC };

struct table {
    atomic_long armed;  /* OFF, KILL, FAIL_SYNC */
    atomic_long target; /* from 1; 0: only count */
    atomic_long count;
    atomic_long fired;
    char what[256]; /* the call that was hit, for people */
};

static struct table *table;
static char folders[2][PATH_MAX];
static unsigned char ours[FDS];

__attribute__((constructor)) static void begin(void)
{
    const char *file = getenv("CRASHPOINT_TABLE"), *inside = getenv("CRASHPOINT_FOLDER");
    if (!file || !inside)
        return;
    int fd = open(file, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    void *at = mmap(NULL, sizeof(struct table), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (at == MAP_FAILED)
        return;
    snprintf(folders[0], PATH_MAX, "%s/", inside);
    snprintf(folders[1], PATH_MAX, "/target/"); /* how qemu-img sees it in its jail */
    table = at;
}

static int inside(const char *path)
{
    for (int i = 0; i < 2; i++)
        if (folders[i][0] && strncmp(path, folders[i], strlen(folders[i])) == 0)
            return 1;
    return 0;
}

static int fd_inside(int fd)
{
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 2);
    if (n <= 0)
        return 0;
    path[n] = '/'; /* the folder itself counts too */
    path[n + 1] = 0;
    return inside(path);
}

static int at_inside(int dir, const char *path)
{
    if (path[0] == '/')
        return inside(path);
    if (dir != AT_FDCWD)
        return fd_inside(dir);
    char cwd[PATH_MAX];
    return getcwd(cwd, sizeof cwd - 1) && (strcat(cwd, "/"), inside(cwd));
}

/* Returns 1 when this call is to fail. Does not return when it is the last one. */
static int point(const char *call, const char *path, int sync)
{
    long armed = atomic_load(&table->armed);
    if (armed == OFF || (armed == FAIL_SYNC && !sync))
        return 0;
    long number = atomic_fetch_add(&table->count, 1) + 1;
    if (number != atomic_load(&table->target))
        return 0;
    snprintf(table->what, sizeof table->what, "%s %s", call, path);
    atomic_store(&table->fired, 1);
    if (armed == FAIL_SYNC)
        return 1;
    kill(0, SIGKILL);
    raise(SIGKILL); /* in a pid namespace of its own, kill(0) may have nobody to reach */
    _exit(137);
}

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) \
        real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static void opened(int fd, int flags)
{
    if (fd >= 0 && fd < FDS)
        ours[fd] = (flags & O_ACCMODE) != O_RDONLY && fd_inside(fd);
}

static mode_t mode_of(int flags, va_list rest)
{
    return (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0;
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) \
    { \
        REAL(int, #name, const char *, int, ...); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = mode_of(flags, rest); \
        va_end(rest); \
        if (table && ((flags & O_ACCMODE) != O_RDONLY || flags & O_CREAT) && at_inside(AT_FDCWD, path)) \
            point("open", path, 0); \
        int fd = real(path, flags, mode); \
        if (table) \
            opened(fd, flags); \
        return fd; \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
    int name(int dir, const char *path, int flags, ...) \
    { \
        REAL(int, #name, int, const char *, int, ...); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = mode_of(flags, rest); \
        va_end(rest); \
        if (table && ((flags & O_ACCMODE) != O_RDONLY || flags & O_CREAT) && at_inside(dir, path)) \
            point("openat", path, 0); \
        int fd = real(dir, path, flags, mode); \
        if (table) \
            opened(fd, flags); \
        return fd; \
    }
OPENAT(openat)
OPENAT(openat64)

int close(int fd)
{
    REAL(int, "close", int);
    if (fd >= 0 && fd < FDS)
        ours[fd] = 0;
    return real(fd);
}

#define MINE(fd) (table && (fd) >= 0 && (fd) < FDS && ours[fd])
#define POINT_FD(call, fd) \
    do { \
        if (MINE(fd)) { \
            char link[64], path[PATH_MAX] = ""; \
            snprintf(link, sizeof link, "/proc/self/fd/%d", fd); \
            ssize_t n = readlink(link, path, sizeof path - 1); \
            path[n > 0 ? n : 0] = 0; \
            point(call, path, 0); \
        } \
    } while (0)

ssize_t write(int fd, const void *data, size_t size)
{
    REAL(ssize_t, "write", int, const void *, size_t);
    POINT_FD("write", fd);
    return real(fd, data, size);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    POINT_FD("writev", fd);
    return real(fd, parts, count);
}

#define PWRITE(name) \
    ssize_t name(int fd, const void *data, size_t size, off64_t at) \
    { \
        REAL(ssize_t, #name, int, const void *, size_t, off64_t); \
        POINT_FD("pwrite", fd); \
        return real(fd, data, size, at); \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

#define PWRITEV(name) \
    ssize_t name(int fd, const struct iovec *parts, int count, off64_t at) \
    { \
        REAL(ssize_t, #name, int, const struct iovec *, int, off64_t); \
        POINT_FD("pwritev", fd); \
        return real(fd, parts, count, at); \
    }
PWRITEV(pwritev)
PWRITEV(pwritev64)

#define FTRUNCATE(name) \
    int name(int fd, off64_t size) \
    { \
        REAL(int, #name, int, off64_t); \
        POINT_FD("ftruncate", fd); \
        return real(fd, size); \
    }
FTRUNCATE(ftruncate)
FTRUNCATE(ftruncate64)

ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t size, unsigned flags)
{
    REAL(ssize_t, "copy_file_range", int, off64_t *, int, off64_t *, size_t, unsigned);
    POINT_FD("copy_file_range", to);
    return real(from, from_at, to, to_at, size, flags);
}

int ioctl(int fd, unsigned long request, ...)
{
    REAL(int, "ioctl", int, unsigned long, ...);
    va_list rest;
    va_start(rest, request);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    if (request == FICLONE_CODE)
        POINT_FD("FICLONE", fd);
    return real(fd, request, argument);
}

#define SYNC(name) \
    int name(int fd) \
    { \
        REAL(int, #name, int); \
        if (table && atomic_load(&table->armed) && fd_inside(fd)) { \
            char link[64], path[PATH_MAX] = ""; \
            snprintf(link, sizeof link, "/proc/self/fd/%d", fd); \
            ssize_t n = readlink(link, path, sizeof path - 1); \
            path[n > 0 ? n : 0] = 0; \
            if (point(#name, path, 1)) { \
                errno = EIO; \
                return -1; \
            } \
        } \
        return real(fd); \
    }
SYNC(fsync)
SYNC(fdatasync)

#define PATH_CALL(name, declared, condition, shown, ...) \
    int name declared \
    { \
        REAL(int, #name, __VA_ARGS__); \
        if (table && (condition)) \
            point(#name, shown, 0);
#define END(arguments) \
    return real arguments; \
    }

PATH_CALL(rename, (const char *a, const char *b), at_inside(AT_FDCWD, a) || at_inside(AT_FDCWD, b), b, const char *, const char *)
END((a, b))
PATH_CALL(renameat, (int d, const char *a, int e, const char *b), at_inside(d, a) || at_inside(e, b), b, int, const char *, int, const char *)
END((d, a, e, b))
PATH_CALL(renameat2, (int d, const char *a, int e, const char *b, unsigned f), at_inside(d, a) || at_inside(e, b), b, int, const char *, int,
          const char *, unsigned)
END((d, a, e, b, f))
PATH_CALL(link, (const char *a, const char *b), at_inside(AT_FDCWD, b), b, const char *, const char *)
END((a, b))
PATH_CALL(linkat, (int d, const char *a, int e, const char *b, int f), at_inside(e, b), b, int, const char *, int, const char *, int)
END((d, a, e, b, f))
PATH_CALL(symlink, (const char *a, const char *b), at_inside(AT_FDCWD, b), b, const char *, const char *)
END((a, b))
PATH_CALL(unlink, (const char *a), at_inside(AT_FDCWD, a), a, const char *)
END((a))
PATH_CALL(unlinkat, (int d, const char *a, int f), at_inside(d, a), a, int, const char *, int)
END((d, a, f))
PATH_CALL(rmdir, (const char *a), at_inside(AT_FDCWD, a), a, const char *)
END((a))
PATH_CALL(mkdir, (const char *a, mode_t m), at_inside(AT_FDCWD, a), a, const char *, mode_t)
END((a, m))
PATH_CALL(mkdirat, (int d, const char *a, mode_t m), at_inside(d, a), a, int, const char *, mode_t)
END((d, a, m))
PATH_CALL(chmod, (const char *a, mode_t m), at_inside(AT_FDCWD, a), a, const char *, mode_t)
END((a, m))

int fchmod(int fd, mode_t mode)
{
    REAL(int, "fchmod", int, mode_t);
    if (table && atomic_load(&table->armed) && fd_inside(fd))
        point("fchmod", "", 0);
    return real(fd, mode);
}
