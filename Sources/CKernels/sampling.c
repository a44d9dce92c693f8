#include "sampling.h"

#if VLM_X86_64
#define VERSION(name, isa) \
  (vlm_has(isa, VLM_FEATURES_AVX512) ? name##_avx512 : vlm_has(isa, VLM_FEATURES_AVX2) ? name##_avx2 : name##_generic)
#else
#define VERSION(name, isa) ((void)isa, name##_generic)
#endif

int64_t vlm_first_greatest(const float *x, int64_t count, vlm_isa isa) { return VERSION(vlm_first_greatest, isa)(x, count); }

void vlm_block_greatest(const float *x, int64_t count, float *y, vlm_isa isa) { VERSION(vlm_block_greatest, isa)(x, count, y); }

int64_t vlm_at_least(const float *x, int64_t count, float least, int32_t *indices, vlm_isa isa) {
  return VERSION(vlm_at_least, isa)(x, count, least, indices);
}

int64_t vlm_sampling_chunks(int64_t count) { return vlm_ceil_div(count, VLM_SAMPLING_CHUNK); }

void vlm_sampling_weights(const vlm_sampling_weights_args *args, int64_t begin, int64_t end, vlm_isa isa) {
  VERSION(vlm_sampling_weights, isa)(args, begin, end);
}
