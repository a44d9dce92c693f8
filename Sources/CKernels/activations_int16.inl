// Rows of 16-bit codes by an instruction set's `greatest_bits`, those of the greatest magnitude, and `round_codes`; SUFFIXED names its version.

void SUFFIXED(vlm_pack_int16_blocks)(const vlm_pack_activations_args *a, int64_t begin, int64_t end) {
  const int64_t codes = vlm_i16_code_bytes(a->inputs), stride = (int64_t)vlm_row_bytes(VLM_ROWS_INT16_BLOCKS, a->inputs, 0);
  for (int64_t t = begin; t < end; t++) {
    char *row = (char *)a->packed + t * stride;
    float *scales = (float *)(row + codes);
    int16_t *q = (int16_t *)row;
    for (int64_t k = 0; k < a->inputs; k += VLM_I16_BLOCK) {
      const float *x = a->x + t * a->x_stride + k;
      const int64_t count = vlm_min(VLM_I16_BLOCK, a->inputs - k);
      const vlm_i16_rounding r = vlm_i16_rounding_of(greatest_bits(x, count));
      if (r.inverse > 0) round_codes(x, count, r.inverse, q + k);
      else __builtin_memset(q + k, 0, (size_t)count * sizeof *q);
      *scales++ = r.scale;
    }
    for (int64_t k = a->inputs; k < codes / 2; k++) q[k] = 0;
    // To the row's end, so that it is the same bytes.
    while ((char *)scales < row + stride) *scales++ = 0;
  }
}
