/* A shim before libc (LD_PRELOAD) that dies, or fails, at one chosen file-system call below one folder.

   Armed by the process itself (fault_arm), so that a parent can load Python once and fork a child for each
   call. Calls are counted over all threads. "Changing" calls are those after which the disk may differ;
   between two of them a killed process leaves one and the same disk. Whatever lies outside the folder, and
   the shim's own log, is not counted. fsync is counted and not made: a killed process needs none, and a
   thousand of them would take minutes. */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { COUNT, KILL, TORN, FAIL_ONCE, FAIL_ON };
enum { LOOKS, FREES, TAKES }; /* what a call does to the disk; a full one can still be looked at and freed */
enum { MOST = 65536 };

static char folder[PATH_MAX];
static size_t folder_length;
static int mode, failure, every_call, log_descriptor = -1;
static long chosen, count;
static unsigned char tracked[MOST];

void fault_arm(const char *below, int with, long number, int error, int all, int log) {
    strncpy(folder, below, sizeof folder - 1);
    mode = with, failure = error, every_call = all, log_descriptor = log;
    chosen = number;
    __atomic_store_n(&count, 0, __ATOMIC_SEQ_CST);
    folder_length = strlen(folder);
}

long fault_count(void) { return __atomic_load_n(&count, __ATOMIC_SEQ_CST); }

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static int below(const char *path) {
    return folder_length && path && !strncmp(path, folder, folder_length) &&
           (path[folder_length] == '/' || !path[folder_length]);
}

static int ours(int fd) { return folder_length && fd >= 0 && fd < MOST && tracked[fd]; }

static int at(int fd, const char *path) { return path && path[0] == '/' ? below(path) : ours(fd); }

static int track(int fd, int mine) {
    if (fd >= 0 && fd < MOST) tracked[fd] = mine;
    return fd;
}

static void note(const char *call, const char *path) {
    if (log_descriptor < 0) return;
    char line[PATH_MAX + 64];
    int length = snprintf(line, sizeof line, "%s %s\n", call, path ? path : "");
    REAL(write);
    if (real(log_descriptor, line, length) < 0) abort();
}

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* What becomes of a call that is ours: 0 it is made, 1 it fails, 2 half of it is made and then all is over. */
static int meets(const char *call, const char *path, int does) {
    if (does == LOOKS && !every_call) return 0;
    long number = __atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST);
    note(call, path);
    if (mode == FAIL_ON ? number < chosen || does != TAKES : number != chosen) return 0;
    if (mode == KILL) die();
    if (mode == TORN) return 2;
    if (mode == FAIL_ONCE || mode == FAIL_ON) {
        errno = failure;
        return 1;
    }
    return 0;
}

#define MEET(mine, call, path, does, bad) \
    int fate = (mine) ? meets(call, path, does) : 0; \
    if (fate == 1) return bad

/* With TORN a call other than write is made whole, and then all is over. */
#define DONE(value) \
    do { \
        __typeof__(value) made = (value); \
        if (fate == 2) die(); \
        return made; \
    } while (0)

#define OPENS(flags) ((flags) & (O_CREAT | O_TRUNC) ? TAKES : LOOKS)

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(name); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t bits = flags & O_CREAT ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        int mine = below(path); \
        MEET(mine, "open", path, OPENS(flags), -1); \
        DONE(track(real(path, flags, bits), mine)); \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
    int name(int fd, const char *path, int flags, ...) { \
        REAL(name); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t bits = flags & O_CREAT ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        int mine = at(fd, path); \
        MEET(mine, "openat", path, OPENS(flags), -1); \
        DONE(track(real(fd, path, flags, bits), mine)); \
    }
OPENAT(openat)
OPENAT(openat64)

int close(int fd) {
    REAL(close);
    int mine = ours(fd);
    track(fd, 0);
    int result = real(fd); /* whatever it answers, the descriptor is gone */
    MEET(mine, "close", "", LOOKS, -1);
    DONE(result);
}

ssize_t write(int fd, const void *data, size_t size) {
    REAL(write);
    MEET(ours(fd), "write", "", TAKES, -1);
    if (fate == 2) {
        if (real(fd, data, size / 2) < 0) abort();
        die();
    }
    return real(fd, data, size);
}

ssize_t read(int fd, void *data, size_t size) {
    REAL(read);
    MEET(ours(fd), "read", "", LOOKS, -1);
    DONE(real(fd, data, size));
}

ssize_t pread64(int fd, void *data, size_t size, off64_t from) {
    REAL(pread64);
    MEET(ours(fd), "pread", "", LOOKS, -1);
    DONE(real(fd, data, size, from));
}

int fsync(int fd) {
    REAL(fsync);
    MEET(ours(fd), "fsync", "", TAKES, -1);
    DONE(ours(fd) ? 0 : real(fd));
}

int ftruncate64(int fd, off64_t size) {
    REAL(ftruncate64);
    MEET(ours(fd), "ftruncate", "", FREES, -1);
    DONE(real(fd, size));
}

int fchmod(int fd, mode_t bits) {
    REAL(fchmod);
    MEET(ours(fd), "fchmod", "", FREES, -1);
    DONE(real(fd, bits));
}

int flock(int fd, int how) {
    REAL(flock);
    MEET(ours(fd), "flock", "", LOOKS, -1);
    DONE(real(fd, how));
}

int chmod(const char *path, mode_t bits) {
    REAL(chmod);
    MEET(below(path), "chmod", path, FREES, -1);
    DONE(real(path, bits));
}

int mkdir(const char *path, mode_t bits) {
    REAL(mkdir);
    MEET(below(path), "mkdir", path, TAKES, -1);
    DONE(real(path, bits));
}

int rmdir(const char *path) {
    REAL(rmdir);
    MEET(below(path), "rmdir", path, FREES, -1);
    DONE(real(path));
}

int unlink(const char *path) {
    REAL(unlink);
    MEET(below(path), "unlink", path, FREES, -1);
    DONE(real(path));
}

int unlinkat(int fd, const char *path, int flags) {
    REAL(unlinkat);
    MEET(at(fd, path), "unlinkat", path, FREES, -1);
    DONE(real(fd, path, flags));
}

int rename(const char *from, const char *to) {
    REAL(rename);
    MEET(below(from) || below(to), "rename", to, TAKES, -1);
    DONE(real(from, to));
}

int link(const char *from, const char *to) {
    REAL(link);
    MEET(below(to), "link", to, TAKES, -1);
    DONE(real(from, to));
}

int linkat(int old, const char *from, int new, const char *to, int flags) {
    REAL(linkat);
    MEET(at(new, to), "link", to, TAKES, -1);
    DONE(real(old, from, new, to, flags));
}

int symlink(const char *text, const char *path) {
    REAL(symlink);
    MEET(below(path), "symlink", path, TAKES, -1);
    DONE(real(text, path));
}

int stat64(const char *path, struct stat64 *about) {
    REAL(stat64);
    MEET(below(path), "stat", path, LOOKS, -1);
    DONE(real(path, about));
}

int lstat64(const char *path, struct stat64 *about) {
    REAL(lstat64);
    MEET(below(path), "lstat", path, LOOKS, -1);
    DONE(real(path, about));
}

int fstat64(int fd, struct stat64 *about) {
    REAL(fstat64);
    MEET(ours(fd), "fstat", "", LOOKS, -1);
    DONE(real(fd, about));
}

int fstatat64(int fd, const char *path, struct stat64 *about, int flags) {
    REAL(fstatat64);
    MEET(at(fd, path), "fstatat", path, LOOKS, -1);
    DONE(real(fd, path, about, flags));
}

DIR *opendir(const char *path) {
    REAL(opendir);
    MEET(below(path), "opendir", path, LOOKS, NULL);
    DONE(real(path));
}

DIR *fdopendir(int fd) {
    REAL(fdopendir);
    MEET(ours(fd), "fdopendir", "", LOOKS, NULL);
    DONE(real(fd));
}
