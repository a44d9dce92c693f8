#include "math_scalar.h"

void vlm_rotary_table(const vlm_rotary_table_args *a, int64_t begin, int64_t end, vlm_isa isa) {
  (void)isa;
  for (int64_t t = begin; t < end; t++)
    for (int64_t i = 0; i < a->pairs; i++) {
      float angle = (float)a->positions[(a->axis ? a->axis[i] : 0) * a->positions_stride + t] * a->inv_freq[i];
      for (int64_t j = i + a->pairs; j < a->sets * a->pairs; j += a->pairs)
        angle += (float)a->positions[(a->axis ? a->axis[j] : 0) * a->positions_stride + t] * a->inv_freq[j];
      float cosine, sine;
      vlm_cos_sin1(angle, &cosine, &sine);
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
  int64_t half = a->rotary_dim / 2, parts = a->parts > 1 ? a->parts : 1, inside = half / parts;
  for (int64_t t = begin; t < end; t++)
    for (int64_t h = 0; h < a->heads; h++) {
      const float *x = a->x + t * a->x_stride + h * a->head_dim;
      float *y = a->y + t * a->y_stride + h * a->head_dim;
      for (int64_t p = 0; p < parts; p++) {
        int64_t angle = t * half + p * inside;
        rotate_head(x + 2 * p * inside, y + 2 * p * inside, a->cos + angle, a->sin + angle, inside);
      }
      for (int64_t i = 2 * half; i < a->head_dim && x != y; i++) y[i] = x[i];
    }
}
