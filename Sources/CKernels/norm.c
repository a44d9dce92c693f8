#include "norm.h"

void vlm_rms_norm(const vlm_norm_args *args, int64_t begin, int64_t end, vlm_isa isa) {
  (void)isa;
  vlm_rms_norm_generic(args, begin, end);
}

void vlm_layer_norm(const vlm_norm_args *args, int64_t begin, int64_t end, vlm_isa isa) {
  (void)isa;
  vlm_layer_norm_generic(args, begin, end);
}
