// The weights of F8 blocks as pairs of bf16, as products of bf16 read them; over vectors/linear_floats.inl.

// The words of two halves in turns.
static inline __m512i halves_in_turns(__m512i x) {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2,
                                         17, 1, 16, 0);
  return _mm512_permutexvar_epi16(order, x);
}

// Two inputs' weights as pairs of bf16, rounded to nearest even.
VLM_INLINE __m512bh pairs_of(v_f32 even, v_f32 odd) {
  return (__m512bh)halves_in_turns((__m512i)_mm512_cvtne2ps_pbh(odd, even));
}

// The pairs of inputs `first` and `first + 1` of an F8 block; without the second its weights are zero.
VLM_INLINE void f8_pairs(const uint8_t *codes, const float *scales, const int first, bool both, __m512bh pairs[2]) {
  v_f32 even[2], odd[2] = {v_zero(), v_zero()};
  weights_f8(codes + first * VLM_PANEL, scales, even);
  if (both) weights_f8(codes + (first + 1) * VLM_PANEL, scales, odd);
  pairs[0] = pairs_of(even[0], odd[0]);
  pairs[1] = pairs_of(even[1], odd[1]);
}

// The weights of a block whose outputs share a scale, as bf16: of codes 0 ..< 32, and of codes 32 ..< 64 less FOUR_OCTAVES. Each 32 codes more are four
// octaves up, so that rounding is the same but for the exponent.
typedef struct {
  __m512i low, high;
} f8_table;

enum { FOUR_OCTAVES = 4 << 7, HIGH_CODES = 0x60 };

// 32 codes from `first` on, times the scale.
static inline __m512i f8_table_part(const int first, v_f32 scale) {
  const __m256i step = _mm256_setr_epi16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  v_f32 half[2];
#pragma clang loop unroll(full)
  for (int i = 0; i < 2; i++)
    half[i] = v_mul(_mm512_cvtph_ps(_mm256_slli_epi16(_mm256_add_epi16(step, _mm256_set1_epi16((short)(first + 16 * i))), 7)), scale);
  return (__m512i)_mm512_cvtne2ps_pbh(half[1], half[0]);
}

// False where scales differ, or are so small or great that some weights are not normal numbers.
static bool f8_table_of(const float *scales, f8_table *table) {
  const v_f32 first = v_load(scales), second = v_load(scales + V_WIDTH), scale = v_set1(*scales);
  if (_mm512_cmp_ps_mask(first, scale, _CMP_NEQ_UQ) | _mm512_cmp_ps_mask(second, scale, _CMP_NEQ_UQ)) return false;
  const float magnitude = __builtin_fabsf(*scales);
  if (!(magnitude > 0x1p-90f && magnitude < 0x1p100f)) return false;
  table->low = f8_table_part(0, scale);
  table->high = _mm512_sub_epi16(f8_table_part(32, scale), _mm512_set1_epi16(FOUR_OCTAVES));
  return true;
}

// The weights of codes in the low bytes of words.
VLM_INLINE __m512bh f8_lookup(const f8_table *table, __m512i codes) {
  const __m512i octaves = _mm512_and_si512(_mm512_slli_epi16(codes, 4), _mm512_set1_epi16(HIGH_CODES << 4));
  __m512i w = _mm512_add_epi16(_mm512_permutexvar_epi16(codes, table->high), octaves);
  w = _mm512_mask_permutexvar_epi16(w, _mm512_testn_epi16_mask(codes, _mm512_set1_epi16(HIGH_CODES)), codes, table->low);
  const __m512i sign = _mm512_set1_epi16((short)0x8000);
  return (__m512bh)_mm512_xor_si512(w, _mm512_and_si512(_mm512_slli_epi16(codes, 8), sign));
}

// f8_pairs of two inputs by a table.
VLM_INLINE void f8_table_pairs(const uint8_t *codes, const f8_table *table, const int first, __m512bh pairs[2]) {
  const __m512i both = halves_in_turns(_mm512_loadu_si512(codes + first * VLM_PANEL));
  pairs[0] = f8_lookup(table, both);
  pairs[1] = f8_lookup(table, _mm512_srli_epi16(both, 8));
}

// The inputs of a panel that are not yet unpacked, from the first block's beginning on.
typedef struct {
  const uint8_t *scales, *codes;  // of the block, and from the next input on
  int64_t count, group, block;    // inputs: in all, of a block, and of this one
  bool has_table;
  f8_table table;
} f8_inputs;

static inline void f8_begin_block(f8_inputs *inputs) {
  inputs->scales = inputs->codes;
  inputs->codes += VLM_F8_SCALE_BYTES;
  inputs->block = vlm_min(inputs->group, inputs->count);
  inputs->has_table = f8_table_of((const float *)inputs->scales, &inputs->table);
}

static inline f8_inputs f8_inputs_at(const uint8_t *block, int64_t count, int64_t group) {
  return (f8_inputs){.codes = block, .count = count, .group = group};
}

VLM_INLINE void store_pairs(uint32_t *w, const __m512bh pairs[2]) {
  _mm512_storeu_si512(w, (__m512i)pairs[0]);
  _mm512_storeu_si512(w + 16, (__m512i)pairs[1]);
}

// Unpacks the next `count` inputs, or what is left, to w; returns what is behind them.
VLM_INLINE uint32_t *unpack_f8(f8_inputs *inputs, int64_t count, uint32_t *w) {
  count = vlm_min(count, inputs->count);
  for (int64_t done = 0, some; done < count; done += some) {
    if (inputs->block == 0) f8_begin_block(inputs);
    some = vlm_min(count - done, inputs->block);
    const f8_table table = inputs->table;
    const float *const scales = (const float *)inputs->scales;
    const uint8_t *const codes = inputs->codes;
    __m512bh pairs[2];
    int64_t i = 0;
    for (; inputs->has_table && i + 2 <= some; i += 2, w += VLM_PANEL) {
      f8_table_pairs(codes + i * VLM_PANEL, &table, 0, pairs);
      store_pairs(w, pairs);
    }
    for (; i + 2 <= some; i += 2, w += VLM_PANEL) {
      f8_pairs(codes + i * VLM_PANEL, scales, 0, true, pairs);
      store_pairs(w, pairs);
    }
    if (i < some) {
      f8_pairs(codes + i * VLM_PANEL, scales, 0, false, pairs);
      store_pairs(w, pairs);
      w += VLM_PANEL;
    }
    inputs->codes += some * VLM_PANEL;
    inputs->block -= some;
    inputs->count -= some;
  }
  return w;
}
