#include "math_scalar.h"

void vlm_rotary_table(const vlm_rotary_table_args *a, int64_t begin, int64_t end, vlm_isa isa) {
  (void)isa;
  for (int64_t t = begin; t < end; t++)
    for (int64_t i = 0; i < a->pairs; i++) {
      int32_t position = a->positions[(a->axis ? a->axis[i] : 0) * a->positions_stride + t];
      float cosine, sine;
      vlm_cos_sin1((float)position * a->inv_freq[i], &cosine, &sine);
      a->cos[t * a->pairs + i] = cosine * a->scale;
      a->sin[t * a->pairs + i] = sine * a->scale;
    }
}

// Straight loops over one head; the compiler vectorizes them.
static void rotate_head(const float *x, float *y, const float *cosine, const float *sine, int64_t half) {
  for (int64_t i = 0; i < half; i++) {
    float a = x[i], b = x[i + half];
    y[i] = a * cosine[i] - b * sine[i];
    y[i + half] = b * cosine[i] + a * sine[i];
  }
}

void vlm_rotary(const vlm_rotary_args *a, int64_t begin, int64_t end, vlm_isa isa) {
  (void)isa;
  int64_t half = a->rotary_dim / 2;
  for (int64_t t = begin; t < end; t++)
    for (int64_t h = 0; h < a->heads; h++) {
      const float *x = a->x + t * a->x_stride + h * a->head_dim;
      float *y = a->y + t * a->y_stride + h * a->head_dim;
      rotate_head(x, y, a->cos + t * half, a->sin + t * half, half);
      for (int64_t i = 2 * half; i < a->head_dim && x != y; i++) y[i] = x[i];
    }
}
