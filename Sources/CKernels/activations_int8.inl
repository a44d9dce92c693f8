// Rows of int8 in both of their forms, by an instruction set's `rounding_of` and `round_numbers`; SUFFIXED names its versions.

void SUFFIXED(vlm_pack_int8_rows)(const vlm_pack_activations_args *a, int64_t begin, int64_t end) {
  int64_t groups = a->inputs / a->group, stride = (int64_t)vlm_row_bytes(VLM_ROWS_INT8, a->inputs, a->group);
  for (int64_t t = begin; t < end; t++) {
    int8_t *q = (int8_t *)a->packed + t * stride;
    for (int64_t g = 0; g < groups; g++, q += vlm_i8_group_bytes(a->group)) {
      const float *x = a->x + t * a->x_stride + g * a->group;
      const rounding r = rounding_of(x, a->group);
      vlm_i8_tail tail = {r.scale, round_numbers(x, a->group, r, q)};
      __builtin_memcpy(q + a->group, &tail, sizeof tail);
    }
  }
}

void SUFFIXED(vlm_pack_int8_blocks)(const vlm_pack_activations_args *a, int64_t begin, int64_t end) {
  const size_t stride = vlm_row_bytes(VLM_ROWS_INT8_BLOCKS, a->inputs, 0);
  for (int64_t t = begin; t < end; t++) {
    vlm_f4_row_block *block = (vlm_f4_row_block *)((char *)a->packed + (size_t)t * stride);
    for (int64_t k = 0; k < a->inputs; k += VLM_F4_BLOCK, block++) {
      const float *x = a->x + t * a->x_stride + k;
      const int64_t count = vlm_min(VLM_F4_BLOCK, a->inputs - k);
      const rounding r = rounding_of(x, count);
      if (count < VLM_F4_BLOCK) *block = (vlm_f4_row_block){0};
      block->scale = r.scale;
      for (int64_t d = 0; d < count / VLM_F4_DOT; d++) {
        int32_t sum = round_numbers(x + d * VLM_F4_DOT, VLM_F4_DOT, r, block->dots[d].q);
        block->dots[d].start = (uint16_t)(-VLM_I8_CENTRE * sum);
      }
    }
  }
}
