#ifndef VLM_SAMPLING_H
#define VLM_SAMPLING_H
#include "math_scalar.h"

// Lanes of a sum, whatever the width of a vector; the lane of element i is i mod this.
enum { VLM_SUM_LANES = 16 };

// Arguments of e to the power of less than this count as 0, so that no weight is below the normal numbers.
#define VLM_WEIGHT_LOW (-87.0f)

#define VLM_SAMPLING_DECLARE(ISA) \
  int64_t vlm_first_greatest_##ISA(const float *x, int64_t count); \
  void vlm_block_greatest_##ISA(const float *x, int64_t count, float *y); \
  int64_t vlm_at_least_##ISA(const float *x, int64_t count, float least, int32_t *indices); \
  void vlm_sampling_weights_##ISA(const vlm_sampling_weights_args *a, int64_t begin, int64_t end);

VLM_SAMPLING_DECLARE(generic)
#if VLM_X86_64
VLM_SAMPLING_DECLARE(avx2)
VLM_SAMPLING_DECLARE(avx512)
#elif VLM_AARCH64
VLM_SAMPLING_DECLARE(neon)
#endif

// The sum of the lanes; `lanes` is changed.
static inline float vlm_fold_lanes(float lanes[VLM_SUM_LANES]) {
  for (int width = VLM_SUM_LANES / 2; width > 0; width /= 2)
    for (int i = 0; i < width; i++) lanes[i] += lanes[i + width];
  return lanes[0];
}

#endif
