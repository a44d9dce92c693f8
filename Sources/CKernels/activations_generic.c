#include "math_scalar.h"

void vlm_pack_bf16_rows_generic(const vlm_pack_activations_args *a, int64_t begin, int64_t end) {
  int64_t stride = vlm_bf16_row(a->inputs);
  for (int64_t t = begin; t < end; t++) {
    uint16_t *row = (uint16_t *)a->packed + t * stride;
    for (int64_t k = 0; k < a->inputs; k++) row[k] = vlm_to_bf16(a->x[t * a->x_stride + k]);
    for (int64_t k = a->inputs; k < stride; k++) row[k] = 0;
  }
}

void vlm_pack_int8_rows_generic(const vlm_pack_activations_args *a, int64_t begin, int64_t end) {
  int64_t groups = a->inputs / a->group, stride = (int64_t)vlm_row_bytes(VLM_ROWS_INT8, a->inputs, a->group);
  for (int64_t t = begin; t < end; t++) {
    int8_t *q = (int8_t *)a->packed + t * stride;
    for (int64_t g = 0; g < groups; g++, q += vlm_i8_group_bytes(a->group)) {
      const float *x = a->x + t * a->x_stride + g * a->group;
      float most = 0;
      for (int64_t k = 0; k < a->group; k++) most = vlm_abs1(x[k]) > most ? vlm_abs1(x[k]) : most;
      bool usable = most > 1e-30f;
      float inverse = usable ? 127.0f / most : 0;
      vlm_i8_tail tail = {usable ? most / 127.0f : 0, 0};
      for (int64_t k = 0; k < a->group; k++) {
        float r = vlm_round1(x[k] * inverse);
        r = r < 127.0f ? r : 127.0f;
        q[k] = (int8_t)(r > -127.0f ? r : -127.0f);
        tail.sum += q[k];
      }
      __builtin_memcpy(q + a->group, &tail, sizeof tail);
    }
  }
}
