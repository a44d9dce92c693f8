#include "elementwise.h"

void vlm_activate_generic(vlm_activation activation, const float *x, float *y, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i++) y[i] = vlm_activate1(activation, x[i]);
}

void vlm_gated_generic(const vlm_gated_args *a, int64_t begin, int64_t end) {
  for (int64_t t = begin; t < end; t++) {
    const float *gate = a->x + t * a->x_stride, *up = gate + a->columns;
    for (int64_t i = 0; i < a->columns; i++) a->y[t * a->y_stride + i] = vlm_activate1(a->activation, gate[i]) * up[i];
  }
}

void vlm_add_generic(const float *a, const float *b, float *y, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i++) y[i] = a[i] + b[i];
}

void vlm_exp_generic(const float *x, float *y, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i++) y[i] = vlm_exp1(x[i]);
}

void vlm_u8_to_f32_generic(const uint8_t *x, float *y, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i++) y[i] = (float)x[i];
}

void vlm_bf16_to_f32_generic(const uint16_t *x, float *y, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i++) y[i] = vlm_from_bf16(x[i]);
}

void vlm_f32_to_bf16_generic(const float *x, uint16_t *y, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i++) y[i] = vlm_to_bf16(x[i]);
}
