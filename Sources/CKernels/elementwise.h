#ifndef VLM_ELEMENTWISE_H
#define VLM_ELEMENTWISE_H
#include "math_scalar.h"

// Declares every elementwise kernel for one instruction set.
#define VLM_ELEMENTWISE_DECLARE(ISA) \
  void vlm_activate_##ISA(vlm_activation activation, const float *x, float *y, int64_t begin, int64_t end); \
  void vlm_gated_##ISA(const vlm_gated_args *a, int64_t begin, int64_t end); \
  void vlm_add_##ISA(const float *a, const float *b, float *y, int64_t begin, int64_t end); \
  void vlm_exp_##ISA(const float *x, float *y, int64_t begin, int64_t end); \
  void vlm_u8_to_f32_##ISA(const uint8_t *x, float *y, int64_t begin, int64_t end); \
  void vlm_bf16_to_f32_##ISA(const uint16_t *x, float *y, int64_t begin, int64_t end); \
  void vlm_f32_to_bf16_##ISA(const float *x, uint16_t *y, int64_t begin, int64_t end);

VLM_ELEMENTWISE_DECLARE(generic)
#if VLM_X86_64
VLM_ELEMENTWISE_DECLARE(avx2)
VLM_ELEMENTWISE_DECLARE(avx512)
#elif VLM_AARCH64
VLM_ELEMENTWISE_DECLARE(neon)
#endif

#endif
