#include "math_scalar.h"

// cos and sin of an angle: quadrant and remainder in f64, Taylor polynomials on |r| ≤ π/4.
static void cos_sin(float angle, float *cosine, float *sine) {
  double x = angle, magic = 0x1.8p52, n = (x * VLM_TWO_OVER_PI + magic) - magic;
  if (!(n > -1e9 && n < 1e9)) {
    *cosine = *sine = angle - angle;
    return;
  }
  double r = (x - n * VLM_PIO2_HIGH) - n * VLM_PIO2_LOW, s = r * r;
  double c = 1.0 / 40320 + s * (-1.0 / 3628800 + s * (1.0 / 479001600));
  c = 1 + s * (-1.0 / 2 + s * (1.0 / 24 + s * (-1.0 / 720 + s * c)));
  double d = 1.0 / 362880 + s * (-1.0 / 39916800 + s * (1.0 / 6227020800.0));
  d = r + r * s * (-1.0 / 6 + s * (1.0 / 120 + s * (-1.0 / 5040 + s * d)));
  switch ((int64_t)n & 3) {
    case 0: *cosine = (float)c, *sine = (float)d; break;
    case 1: *cosine = (float)-d, *sine = (float)c; break;
    case 2: *cosine = (float)-c, *sine = (float)-d; break;
    default: *cosine = (float)d, *sine = (float)-c; break;
  }
}

void vlm_rotary_table(const vlm_rotary_table_args *a, int64_t begin, int64_t end, vlm_isa isa) {
  (void)isa;
  for (int64_t t = begin; t < end; t++)
    for (int64_t i = 0; i < a->pairs; i++) {
      int32_t position = a->positions[(a->axis ? a->axis[i] : 0) * a->positions_stride + t];
      float cosine, sine;
      cos_sin((float)position * a->inv_freq[i], &cosine, &sine);
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
