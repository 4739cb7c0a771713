/* Loaded before a program, lets the file system of a folder lack what some have.

   FAULT_FOLDER is the folder. FAULT is "quota" (files beyond FAULT_BYTES are refused with EDQUOT)
   or "plain" (a file is not renamed over another, no hard links, no symbolic links, no locks). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int is(const char *fault) {
    const char *asked = getenv("FAULT");
    return asked && strcmp(asked, fault) == 0;
}

static int inside(const char *path) {
    const char *folder = getenv("FAULT_FOLDER");
    return folder && strncmp(path, folder, strlen(folder)) == 0;
}

static int is_of(int descriptor) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return inside(path);
}

static int refused(int descriptor, size_t more) {
    struct stat status;
    if (!is("quota") || fstat(descriptor, &status) || !S_ISREG(status.st_mode)) return 0;
    if (status.st_size + (off_t)more <= atol(getenv("FAULT_BYTES")) || !is_of(descriptor)) return 0;
    errno = EDQUOT;
    return 1;
}

ssize_t write(int descriptor, const void *from, size_t size) {
    static ssize_t (*next)(int, const void *, size_t);
    if (!next) next = dlsym(RTLD_NEXT, "write");
    return refused(descriptor, size) ? -1 : next(descriptor, from, size);
}

ssize_t writev(int descriptor, const struct iovec *from, int count) {
    static ssize_t (*next)(int, const struct iovec *, int);
    if (!next) next = dlsym(RTLD_NEXT, "writev");
    size_t size = 0;
    for (int i = 0; i < count; i++) size += from[i].iov_len;
    return refused(descriptor, size) ? -1 : next(descriptor, from, count);
}

ssize_t pwrite64(int descriptor, const void *from, size_t size, off64_t at) {
    static ssize_t (*next)(int, const void *, size_t, off64_t);
    if (!next) next = dlsym(RTLD_NEXT, "pwrite64");
    return refused(descriptor, size) ? -1 : next(descriptor, from, size, at);
}

ssize_t pwrite(int descriptor, const void *from, size_t size, off_t at) {
    return pwrite64(descriptor, from, size, at);
}

ssize_t sendfile64(int descriptor, int from, off64_t *at, size_t size) {
    static ssize_t (*next)(int, int, off64_t *, size_t);
    if (!next) next = dlsym(RTLD_NEXT, "sendfile64");
    struct stat status;
    size_t more = fstat(from, &status) ? size : (size_t)status.st_size;
    return refused(descriptor, more < size ? more : size) ? -1 : next(descriptor, from, at, size);
}

ssize_t sendfile(int descriptor, int from, off_t *at, size_t size) {
    return sendfile64(descriptor, from, at, size);
}

int rename(const char *from, const char *to) {
    static int (*next)(const char *, const char *);
    if (!next) next = dlsym(RTLD_NEXT, "rename");
    if (is("plain") && inside(to) && access(to, F_OK) == 0) {
        errno = EEXIST;
        return -1;
    }
    return next(from, to);
}

int link(const char *from, const char *to) {
    static int (*next)(const char *, const char *);
    if (!next) next = dlsym(RTLD_NEXT, "link");
    if (is("plain") && inside(to)) {
        errno = EPERM;
        return -1;
    }
    return next(from, to);
}

int symlink(const char *from, const char *to) {
    static int (*next)(const char *, const char *);
    if (!next) next = dlsym(RTLD_NEXT, "symlink");
    if (is("plain") && inside(to)) {
        errno = EPERM;
        return -1;
    }
    return next(from, to);
}

int flock(int descriptor, int how) {
    static int (*next)(int, int);
    if (!next) next = dlsym(RTLD_NEXT, "flock");
    if (is("plain") && is_of(descriptor)) {
        errno = ENOLCK;
        return -1;
    }
    return next(descriptor, how);
}

static int locks(int command) {
    return command == F_SETLK || command == F_SETLKW;
}

int fcntl64(int descriptor, int command, ...) {
    static int (*next)(int, int, ...);
    if (!next) next = dlsym(RTLD_NEXT, "fcntl64");
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (is("plain") && locks(command) && is_of(descriptor)) {
        errno = ENOLCK;
        return -1;
    }
    return next(descriptor, command, argument);
}

int fcntl(int descriptor, int command, ...) {
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    return fcntl64(descriptor, command, argument);
}
