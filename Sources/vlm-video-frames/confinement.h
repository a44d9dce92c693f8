// What the process may not do, whatever a file makes its decoder do.
#ifndef CONFINEMENT_H
#define CONFINEMENT_H

#include <stdint.h>

// Bounds address space and processor time, and leaves no files, processes and system calls beyond memory, the open descriptors and the
// clock. Returns 0, or -1 where the bounds could not be set; a kernel without seccomp leaves the system calls.
int confine(uint64_t memory_bytes, uint64_t cpu_seconds);

#endif
