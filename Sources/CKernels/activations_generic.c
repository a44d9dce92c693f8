#include "math_scalar.h"

void vlm_pack_bf16_rows_generic(const vlm_pack_activations_args *a, int64_t begin, int64_t end) {
  int64_t stride = vlm_bf16_row(a->inputs);
  for (int64_t t = begin; t < end; t++) {
    uint16_t *row = (uint16_t *)a->packed + t * stride;
    for (int64_t k = 0; k < a->inputs; k++) row[k] = vlm_to_bf16(a->x[t * a->x_stride + k]);
    for (int64_t k = a->inputs; k < stride; k++) row[k] = 0;
  }
}

// How numbers become int8: times `inverse`, and back times `scale`.
typedef struct {
  float scale, inverse;
} rounding;

static rounding rounding_of(const float *x, int64_t count) {
  float most = 0;
  for (int64_t k = 0; k < count; k++) most = vlm_abs1(x[k]) > most ? vlm_abs1(x[k]) : most;
  return most > 1e-30f ? (rounding){most / 127.0f, 127.0f / most} : (rounding){0, 0};
}

// Rounds numbers; returns their sum.
static int32_t round_numbers(const float *x, int64_t count, rounding r, int8_t *q) {
  int32_t sum = 0;
  for (int64_t k = 0; k < count; k++) {
    float whole = vlm_round1(x[k] * r.inverse);
    whole = whole < 127.0f ? whole : 127.0f;
    q[k] = (int8_t)(whole > -127.0f ? whole : -127.0f);
    sum += q[k];
  }
  return sum;
}

#define SUFFIXED(name) name##_generic
#include "activations_int8.inl"

static uint32_t greatest_bits(const float *x, int64_t count) {
  uint32_t greatest = 0;
  for (int64_t k = 0; k < count; k++) greatest = (uint32_t)vlm_max(greatest, vlm_bits(x[k]) & 0x7fffffff);
  return greatest;
}

static void round_codes(const float *x, int64_t count, float inverse, int16_t *q) {
  for (int64_t k = 0; k < count; k++) q[k] = vlm_i16_code(x[k], inverse);
}

#include "activations_int16.inl"
