#include "allocation_counter.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void __libc_free(void *);

static _Thread_local bool counts;
static _Thread_local long count;

void allocation_counter_start(void) {
  count = 0;
  counts = true;
}

long allocation_counter_stop(void) {
  counts = false;
  return count;
}

void *malloc(size_t bytes) {
  count += counts;
  return __libc_malloc(bytes);
}

void *calloc(size_t elements, size_t bytes) {
  count += counts;
  return __libc_calloc(elements, bytes);
}

void *realloc(void *block, size_t bytes) {
  count += counts;
  return __libc_realloc(block, bytes);
}

void *memalign(size_t alignment, size_t bytes) {
  count += counts;
  return __libc_memalign(alignment, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes) { return memalign(alignment, bytes); }

int posix_memalign(void **block, size_t alignment, size_t bytes) {
  void *found = memalign(alignment, bytes);
  if (!found) return ENOMEM;
  *block = found;
  return 0;
}

void free(void *block) { __libc_free(block); }
