#ifndef VLM_NORM_H
#define VLM_NORM_H
#include "math_scalar.h"

typedef void vlm_norm_fn(const vlm_norm_args *args, int64_t begin, int64_t end);
vlm_norm_fn vlm_rms_norm_generic, vlm_layer_norm_generic;
#if VLM_X86_64
vlm_norm_fn vlm_rms_norm_avx2, vlm_layer_norm_avx2, vlm_rms_norm_avx512, vlm_layer_norm_avx512;
#elif VLM_AARCH64
vlm_norm_fn vlm_rms_norm_neon, vlm_layer_norm_neon;
#endif

#endif
