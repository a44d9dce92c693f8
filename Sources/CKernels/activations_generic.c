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
static int32_t round_all(const float *x, int64_t count, float inverse, int8_t *q) {
  int32_t sum = 0;
  for (int64_t k = 0; k < count; k++) {
    float r = vlm_round1(x[k] * inverse);
    r = r < 127.0f ? r : 127.0f;
    q[k] = (int8_t)(r > -127.0f ? r : -127.0f);
    sum += q[k];
  }
  return sum;
}

void vlm_pack_int8_rows_generic(const vlm_pack_activations_args *a, int64_t begin, int64_t end) {
  int64_t groups = a->inputs / a->group, stride = (int64_t)vlm_row_bytes(VLM_ROWS_INT8, a->inputs, a->group);
  for (int64_t t = begin; t < end; t++) {
    int8_t *q = (int8_t *)a->packed + t * stride;
    for (int64_t g = 0; g < groups; g++, q += vlm_i8_group_bytes(a->group)) {
      const float *x = a->x + t * a->x_stride + g * a->group;
      const rounding r = rounding_of(x, a->group);
      vlm_i8_tail tail = {r.scale, round_all(x, a->group, r.inverse, q)};
      __builtin_memcpy(q + a->group, &tail, sizeof tail);
    }
  }
}

void vlm_pack_int8_blocks_generic(const vlm_pack_activations_args *a, int64_t begin, int64_t end) {
  const size_t stride = vlm_row_bytes(VLM_ROWS_INT8_BLOCKS, a->inputs, 0);
  for (int64_t t = begin; t < end; t++) {
    vlm_f4_row_block *block = (vlm_f4_row_block *)((char *)a->packed + (size_t)t * stride);
    for (int64_t k = 0; k < a->inputs; k += VLM_F4_BLOCK, block++) {
      const float *x = a->x + t * a->x_stride + k;
      const int64_t count = vlm_min(VLM_F4_BLOCK, a->inputs - k);
      const rounding r = rounding_of(x, count);
      *block = (vlm_f4_row_block){.scale = r.scale};
      for (int64_t d = 0; d < count / VLM_F4_DOT; d++) {
        int32_t sum = round_all(x + d * VLM_F4_DOT, VLM_F4_DOT, r.inverse, block->dots[d].q);
        block->dots[d].start = (uint16_t)(-VLM_I8_CENTRE * sum);
      }
    }
  }
}
