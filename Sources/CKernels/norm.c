#include "norm.h"

#if VLM_X86_64
#define VERSION(name, isa) \
  (vlm_has(isa, VLM_FEATURES_AVX512) ? name##_avx512 : vlm_has(isa, VLM_FEATURES_AVX2) ? name##_avx2 : name##_generic)
#else
#define VERSION(name, isa) ((void)isa, name##_generic)
#endif

void vlm_rms_norm(const vlm_norm_args *args, int64_t begin, int64_t end, vlm_isa isa) {
  VERSION(vlm_rms_norm, isa)(args, begin, end);
}

void vlm_layer_norm(const vlm_norm_args *args, int64_t begin, int64_t end, vlm_isa isa) {
  VERSION(vlm_layer_norm, isa)(args, begin, end);
}
