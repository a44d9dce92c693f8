#include "vlm_heap.h"

#include <malloc.h>

void vlm_heap_configure(void) {
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    mallopt(M_TRIM_THRESHOLD, 1 << 20);
    mallopt(M_ARENA_MAX, 4);
}

void vlm_heap_trim(void) { malloc_trim(1 << 20); }
