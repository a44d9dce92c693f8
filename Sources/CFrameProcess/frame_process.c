#define _GNU_SOURCE
#include "frame_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static int write_all(int file, const uint8_t *bytes, size_t count) {
    while (count > 0) {
        const ssize_t done = write(file, bytes, count);
        if (done < 0 && errno == EINTR) { continue; }
        if (done <= 0) { return done < 0 ? errno : EIO; }
        bytes += done;
        count -= (size_t)done;
    }
    return 0;
}

// Signals as a new program expects them, whatever this process blocks or ignores: a limit on its time is one.
static int set_signals(posix_spawnattr_t *attributes) {
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int error = posix_spawnattr_setsigmask(attributes, &none);
    if (!error) { error = posix_spawnattr_setsigdefault(attributes, &all); }
    if (!error) { error = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF); }
    return error;
}

static int spawn(const char *path, const char *const *arguments, int input, int output, pid_t *process) {
    posix_spawn_file_actions_t actions;
    int error = posix_spawn_file_actions_init(&actions);
    if (error) { return error; }
    posix_spawnattr_t attributes;
    error = posix_spawnattr_init(&attributes);
    if (error) {
        posix_spawn_file_actions_destroy(&actions);
        return error;
    }
    const char *libraries = getenv("LD_LIBRARY_PATH");
    char *variable = NULL;
    if (libraries && asprintf(&variable, "LD_LIBRARY_PATH=%s", libraries) < 0) { error = ENOMEM; }
    char *const environment[] = {variable, NULL};
    if (!error) { error = set_signals(&attributes); }
    if (!error) { error = posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO); }
    if (!error) { error = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO); }
    if (!error) { error = posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0); }
    if (!error) { error = posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1); }
    if (!error) { error = posix_spawn(process, path, &actions, &attributes, (char *const *)arguments, environment); }
    free(variable);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

int frame_process_start(const char *path, const char *const *arguments, const uint8_t *bytes, size_t count, pid_t *process, int *output) {
    const int input = memfd_create("video", MFD_CLOEXEC);
    if (input < 0) { return errno; }
    int error = write_all(input, bytes, count);
    if (!error && lseek(input, 0, SEEK_SET) < 0) { error = errno; }
    int ends[2] = {-1, -1};
    if (!error && pipe2(ends, O_CLOEXEC)) { error = errno; }
    if (!error) { error = spawn(path, arguments, input, ends[1], process); }
    close(input);
    if (ends[1] >= 0) { close(ends[1]); }
    if (error && ends[0] >= 0) { close(ends[0]); }
    if (!error) { *output = ends[0]; }
    return error;
}
