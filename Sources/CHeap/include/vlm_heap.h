#ifndef VLM_HEAP_H
#define VLM_HEAP_H

// The allocator of the C library, kept near what is in use: Swift does not see these calls.

// Once, before threads start: few heaps, and blocks from a mebibyte on mapped by themselves, so that freeing returns them.
void vlm_heap_configure(void);

// Gives the free pages of all heaps back to the kernel, up to a mebibyte at the end of each; takes about a millisecond.
void vlm_heap_trim(void);

#endif
