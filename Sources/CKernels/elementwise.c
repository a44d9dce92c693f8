#include "elementwise.h"

void vlm_activate(vlm_activation activation, const float *x, float *y, int64_t begin, int64_t end, vlm_isa isa) {
  VLM_ROWWISE(vlm_activate, isa)(activation, x, y, begin, end);
}

void vlm_gated(const vlm_gated_args *a, int64_t begin, int64_t end, vlm_isa isa) {
  VLM_ROWWISE(vlm_gated, isa)(a, begin, end);
}

void vlm_add(const float *a, const float *b, float *y, int64_t begin, int64_t end, vlm_isa isa) {
  VLM_ROWWISE(vlm_add, isa)(a, b, y, begin, end);
}

void vlm_exp(const float *x, float *y, int64_t begin, int64_t end, vlm_isa isa) {
  VLM_ROWWISE(vlm_exp, isa)(x, y, begin, end);
}

void vlm_u8_to_f32(const uint8_t *x, float *y, int64_t begin, int64_t end, vlm_isa isa) {
  VLM_ROWWISE(vlm_u8_to_f32, isa)(x, y, begin, end);
}

void vlm_bf16_to_f32(const uint16_t *x, float *y, int64_t begin, int64_t end, vlm_isa isa) {
  VLM_ROWWISE(vlm_bf16_to_f32, isa)(x, y, begin, end);
}

void vlm_f32_to_bf16(const float *x, uint16_t *y, int64_t begin, int64_t end, vlm_isa isa) {
  VLM_ROWWISE(vlm_f32_to_bf16, isa)(x, y, begin, end);
}

// Straight loops over a row; the compiler vectorizes them.
static void scale_row(const float *x, const float *w, float *y, int64_t columns) {
  for (int64_t i = 0; i < columns; i++) y[i] = x[i] * w[i];
}

static void scale_by(const float *x, float w, float *y, int64_t count) {
  for (int64_t i = 0; i < count; i++) y[i] = x[i] * w;
}

void vlm_scale(const vlm_scale_args *a, int64_t begin, int64_t end, vlm_isa isa) {
  (void)isa;
  for (int64_t r = begin; r < end; r++) {
    const float *x = a->x + r * a->x_stride, *w = a->w + r * a->w_stride;
    float *y = a->y + r * a->y_stride;
    if (a->w_step) scale_row(x, w, y, a->columns);
    else scale_by(x, w[0], y, a->columns);
  }
}
