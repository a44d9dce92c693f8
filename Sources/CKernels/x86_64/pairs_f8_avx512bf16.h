// The weights of F8 blocks as pairs of bf16, as products of bf16 read them; over vectors/linear_floats.inl.

// Two inputs' weights as pairs of bf16, rounded to nearest even.
VLM_INLINE __m512bh pairs_of(v_f32 even, v_f32 odd) {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2,
                                         17, 1, 16, 0);
  return (__m512bh)_mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(odd, even));
}

// The pairs of inputs `first` and `first + 1` of an F8 block; without the second its weights are zero.
VLM_INLINE void f8_pairs(const uint8_t *codes, const float *scales, const int first, bool both, __m512bh pairs[2]) {
  v_f32 even[2], odd[2] = {v_zero(), v_zero()};
  weights_f8(codes + first * VLM_PANEL, scales, even);
  if (both) weights_f8(codes + (first + 1) * VLM_PANEL, scales, odd);
  pairs[0] = pairs_of(even[0], odd[0]);
  pairs[1] = pairs_of(even[1], odd[1]);
}

// `count` inputs from the beginning of `block` on, to w; returns what is behind them.
static uint32_t *unpack_f8(const uint8_t *block, int64_t count, int64_t group, uint32_t *w) {
  for (int64_t k = 0; k < count; k += group, block += vlm_f8_block_bytes(group)) {
    const int64_t inputs = vlm_min(group, count - k);
    const uint8_t *codes = block + VLM_F8_SCALE_BYTES;
    for (int64_t i = 0; i < inputs; i += 2, codes += 2 * VLM_PANEL, w += VLM_PANEL) {
      __m512bh pairs[2];
      f8_pairs(codes, (const float *)block, 0, i + 1 < inputs, pairs);
      _mm512_storeu_si512(w, (__m512i)pairs[0]);
      _mm512_storeu_si512(w + 16, (__m512i)pairs[1]);
    }
  }
  return w;
}
