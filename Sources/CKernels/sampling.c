#include "sampling.h"

int64_t vlm_first_greatest(const float *x, int64_t count, vlm_isa isa) { return VLM_ROWWISE(vlm_first_greatest, isa)(x, count); }

void vlm_block_greatest(const float *x, int64_t count, float *y, vlm_isa isa) { VLM_ROWWISE(vlm_block_greatest, isa)(x, count, y); }

int64_t vlm_at_least(const float *x, int64_t count, float least, int32_t *indices, vlm_isa isa) {
  return VLM_ROWWISE(vlm_at_least, isa)(x, count, least, indices);
}

int64_t vlm_sampling_chunks(int64_t count) { return vlm_ceil_div(count, VLM_SAMPLING_CHUNK); }

void vlm_sampling_weights(const vlm_sampling_weights_args *args, int64_t begin, int64_t end, vlm_isa isa) {
  VLM_ROWWISE(vlm_sampling_weights, isa)(args, begin, end);
}
