/* Preloaded: at the N-th of the system calls below, counted from shim_arm(), this process is killed or the call fails.
 *
 * Between the C library and its callers, so that what Python's own C code writes is struck too (ld.so(8), LD_PRELOAD).
 * Only calls of the thread that armed it count: the order of those of others differs from run to run.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { KILL_BEFORE, KILL_AFTER, FAIL, SHORT_WRITE, FULL };

static long left = -1;
static int how, number;
const char *struck_name = "";
static __thread int counted;

void shim_arm(long point, int mode, int error) {
    how = mode;
    number = error;
    left = point;
    counted = 1;
}

/* How many calls had been left when it was asked; never less than -1, which is where it has struck or was not armed. */
long shim_left(void) { return left; }


static int is_due(const char *name) {
    if (!counted || left < 0) return 0;
    if (how >= SHORT_WRITE && strcmp(name, "write") != 0) return 0;
    if (left-- > 0) return 0;
    struck_name = name;
    if (how == KILL_BEFORE) kill(getpid(), SIGKILL);
    return 1;
}

static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

#define CALL(type, name, parameters, arguments)                                 \
    type name parameters {                                                      \
        static type(*next) parameters;                                          \
        if (!next) next = real(#name);                                          \
        if (!is_due(#name)) return next arguments;                              \
        if (how != KILL_AFTER) { errno = number; return -1; }                   \
        next arguments;                                                         \
        kill(getpid(), SIGKILL);                                                \
        return -1;                                                              \
    }

CALL(int, fsync, (int fd), (fd))
CALL(int, fdatasync, (int fd), (fd))
CALL(int, syncfs, (int fd), (fd))
CALL(int, rename, (const char *a, const char *b), (a, b))
CALL(int, renameat, (int d, const char *a, int e, const char *b), (d, a, e, b))
CALL(int, link, (const char *a, const char *b), (a, b))
CALL(int, linkat, (int d, const char *a, int e, const char *b, int f), (d, a, e, b, f))
CALL(int, unlink, (const char *a), (a))
CALL(int, unlinkat, (int d, const char *a, int f), (d, a, f))
CALL(int, mkdir, (const char *a, mode_t m), (a, m))
CALL(int, mkdirat, (int d, const char *a, mode_t m), (d, a, m))
CALL(int, ftruncate, (int fd, off_t n), (fd, n))
CALL(int, ftruncate64, (int fd, off64_t n), (fd, n))
CALL(int, fchmod, (int fd, mode_t m), (fd, m))
CALL(int, fchown, (int fd, uid_t u, gid_t g), (fd, u, g))
CALL(int, fsetxattr, (int fd, const char *n, const void *v, size_t s, int f), (fd, n, v, s, f))
CALL(int, futimens, (int fd, const struct timespec t[2]), (fd, t))
CALL(int, flock, (int fd, int o), (fd, o))
CALL(ssize_t, read, (int fd, void *b, size_t n), (fd, b, n))

/* A close that fails has closed the descriptor all the same (close(2), Dealing with error returns). */
int close(int fd) {
    static int (*next)(int);
    if (!next) next = real("close");
    if (!is_due("close")) return next(fd);
    next(fd);
    if (how == KILL_AFTER) kill(getpid(), SIGKILL);
    errno = number;
    return -1;
}

ssize_t write(int fd, const void *bytes, size_t size) {
    static ssize_t (*next)(int, const void *, size_t);
    if (!next) next = real("write");
    if (!is_due("write")) return next(fd, bytes, size);
    if (how == SHORT_WRITE) return next(fd, bytes, size > 1 ? size / 2 : size);
    if (how == KILL_AFTER) {
        next(fd, bytes, size / 2 + 1);
        kill(getpid(), SIGKILL);
    }
    errno = number;
    return -1;
}

#define OPEN(name, head, arguments)                                             \
    int name head {                                                             \
        static int (*next) head;                                                \
        mode_t mode = 0;                                                        \
        if (flags & (O_CREAT | O_TMPFILE)) {                                    \
            va_list rest;                                                       \
            va_start(rest, flags);                                              \
            mode = va_arg(rest, mode_t);                                        \
            va_end(rest);                                                       \
        }                                                                       \
        if (!next) next = real(#name);                                          \
        if (!is_due(#name)) return next arguments;                              \
        if (how != KILL_AFTER) { errno = number; return -1; }                   \
        next arguments;                                                         \
        kill(getpid(), SIGKILL);                                                \
        return -1;                                                              \
    }

OPEN(open, (const char *path, int flags, ...), (path, flags, mode))
OPEN(open64, (const char *path, int flags, ...), (path, flags, mode))
OPEN(openat, (int folder, const char *path, int flags, ...), (folder, path, flags, mode))
OPEN(openat64, (int folder, const char *path, int flags, ...), (folder, path, flags, mode))
