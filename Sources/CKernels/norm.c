#include "norm.h"

void vlm_rms_norm(const vlm_norm_args *args, int64_t begin, int64_t end, vlm_isa isa) {
  VLM_ROWWISE(vlm_rms_norm, isa)(args, begin, end);
}

void vlm_layer_norm(const vlm_norm_args *args, int64_t begin, int64_t end, vlm_isa isa) {
  VLM_ROWWISE(vlm_layer_norm, isa)(args, begin, end);
}
