#ifndef CIMAGE_RESIZE_AVX2_H
#define CIMAGE_RESIZE_AVX2_H

#include "cimage.h"

#if defined(__x86_64__)
#define CIMAGE_HAS_AVX2 1

// Both need `weights16`, and add `rest16` where there is one. Sums are exact in 32 bits: a row of weights sums to about 2^precision.
void cimage_row_avx2(const uint8_t *in, uint8_t *out, const cimage_axis *axis);

// Returns how many leading bytes of the row it wrote.
int64_t cimage_column_avx2(const uint8_t *rows, int64_t ring, int64_t bytes, uint8_t *out, const cimage_axis *axis,
                           int32_t y);
#else
#define CIMAGE_HAS_AVX2 0
#endif

#endif
