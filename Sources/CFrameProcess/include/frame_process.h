// Starts a program over bytes in memory, with nothing else of this process.
#ifndef FRAME_PROCESS_H
#define FRAME_PROCESS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// Descriptor 0 of the program is a file in memory that holds `count` bytes, 1 is a pipe whose other end is `*output`, 2 leads nowhere; it
// has no others, and no environment but LD_LIBRARY_PATH. Returns 0, or an error as in `errno`.
int frame_process_start(const char *path, const char *const *arguments, const uint8_t *bytes, size_t count, pid_t *process, int *output);

#endif
