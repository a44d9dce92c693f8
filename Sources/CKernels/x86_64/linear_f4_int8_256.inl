// e2m1 layers over rows of int8 in registers of 256 bits: a tile is TILE_ROWS rows × 8 outputs of a panel's 32. The instruction set gives
// `add_four(dot, w, x)`, the products of four inputs; `factor`, a group's scales as whole numbers in their unit, in the form that
// `add_scaled(total, dot, factor)` takes.

enum { TILE_ROWS = 6, INPUTS = 1024, VECTORS = VLM_PANEL / 8 };

static inline __m256i four(const void *q) {
  int32_t v;
  __builtin_memcpy(&v, q, 4);
  return _mm256_set1_epi32(v);
}

// The unit's bits of the scales of outputs o ..< o + 8 of a block; see vlm_f4_unit.
VLM_INLINE __m256i block_unit(const uint8_t *scales, const int o, const int group) {
  const __m128i magnitude = _mm_set1_epi8(group == 16 ? 0x7f : (char)0xff);
  __m128i greatest = _mm_setzero_si128();
#pragma clang loop unroll(full)
  for (int g = 0; g < VLM_F4_BLOCK / group; g++)
    greatest = _mm_max_epu8(greatest, _mm_and_si128(magnitude, _mm_loadl_epi64((const void *)(scales + g * VLM_PANEL + o))));
  uint8_t bytes[8];
  _mm_storel_epi64((void *)bytes, greatest);
  __m256i power = _mm256_and_si256(_mm256_castps_si256(v_scales_f4(bytes, group == 16)), _mm256_set1_epi32(0x7f800000));
  return _mm256_sub_epi32(_mm256_max_epi32(power, _mm256_set1_epi32(13 << 23)), _mm256_set1_epi32(12 << 23));
}

VLM_INLINE void split32(const uint8_t *codes, __m256i *first, __m256i *second) {
  const __m256i low = _mm256_set1_epi8(15), v = _mm256_loadu_si256((const void *)codes), twice = _mm256_broadcastsi128_si256(_mm_setr_epi8(TWICE_F4));
  *first = _mm256_shuffle_epi8(twice, _mm256_and_si256(v, low));
  *second = _mm256_shuffle_epi8(twice, _mm256_and_si256(_mm256_srli_epi16(v, 4), low));
}

VLM_INLINE __m256i factor(const uint8_t *scales, __m256i unit, const int group);
VLM_INLINE __m256i add_scaled(__m256i total, __m256i dot, __m256i factor);
VLM_INLINE __m256i add_four(__m256i dot, __m256i w, __m256i x);

// The products of VLM_F4_DOT inputs. In each word the dot's two halves have room in 16 bits: with what they begin with they are below
// 8 · 12 · 128 + 16 · 8 · 128 and 8 · 28 · 128.
VLM_INLINE void add_dot(const tile_run *run, const uint8_t *w, const row_pointers *at, __m256i dot[], const bool is_unpacked, const int rows) {
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++) dot[m] = four(row_pointer(at, run->x_stride, m, offsetof(vlm_f4_dot, start)));
#pragma clang loop unroll(full)
  for (int k = 0; k < VLM_F4_DOT; k += 8, w += is_unpacked ? 2 * STEP_BYTES : STEP_BYTES) {
    __m256i a, b;
    if (is_unpacked) {
      a = _mm256_load_si256((const void *)w);
      b = _mm256_load_si256((const void *)(w + STEP_BYTES));
    } else {
      split32(w, &a, &b);
    }
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) {
      dot[m] = add_four(dot[m], a, four(row_pointer(at, run->x_stride, m, k)));
      dot[m] = add_four(dot[m], b, four(row_pointer(at, run->x_stride, m, k + 4)));
    }
  }
}

// Prefetches a quarter of what a dot reads at `w`; where memory is far the even ones ask for two.
VLM_INLINE void ask(const tile_run *run, const uint8_t *w, int64_t dot, const int quarter) {
  if (!run->is_far) prefetch_line(w + 64 * quarter, &run->stream, false);
  else if (quarter % 2 == 0) far_part(far_turn(w, &run->stream), dot % 2 * 2 + quarter / 2, w, &run->stream);
}

// Outputs 8n … 8(n + vectors) − 1: the vectors take turns dot by dot, so that memory is read in its order.
VLM_INLINE void outputs(const tile_run *run, const int n, const int vectors, float *sums, const bool is_unpacked, const int group, const int rows) {
  row_pointers at = row_pointers_at(run->x, run->x_stride, rows);
  __m256i unit[VECTORS], total[VECTORS][TILE_ROWS];
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) {
    if (!is_unpacked) unit[v] = block_unit(run->scales, 8 * (n + v), group);
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) total[v][m] = _mm256_setzero_si256();
  }
  const uint8_t *w = is_unpacked ? run->w->u8 : run->codes;
  for (int64_t g = 0; g < run->dots * VLM_F4_DOT / group; g++) {
    __m256i factors[VECTORS];
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) {
      const int64_t at_scale = g * VLM_PANEL + 8 * (n + v);
      factors[v] = is_unpacked ? _mm256_load_si256((const void *)(run->w->factors + at_scale)) : factor(run->scales + at_scale, unit[v], group);
    }
    for (int i = 0; i < group / VLM_F4_DOT; i++, row_pointers_advance(&at, sizeof(vlm_f4_dot), rows)) {
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) {
        if (!is_unpacked) ask(run, w, g * (group / VLM_F4_DOT) + i, n + v);
        __m256i dot[TILE_ROWS];
        add_dot(run, w + 32 * (n + v), &at, dot, is_unpacked, rows);
#pragma clang loop unroll(full)
        for (int m = 0; m < rows; m++) total[v][m] = add_scaled(total[v][m], dot[m], factors[v]);
      }
      w += is_unpacked ? 4 * STEP_BYTES : 2 * STEP_BYTES;
    }
  }
  at = row_pointers_at(run->x, run->x_stride, rows);
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) {
    const int o = 8 * (n + v);
    v_f32 scale = is_unpacked ? v_load(run->w->scale + o) : v_mul(_mm256_castsi256_ps(unit[v]), v_load(run->outputs + o));
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) {
      v_f32 x_scale = _mm256_castsi256_ps(four(row_pointer(&at, run->x_stride, m, offsetof(vlm_f4_row_block, scale))));
      float *sum = sums + m * VLM_PANEL + o;
      v_store(sum, v_add(v_load(sum), v_mul(v_mul(_mm256_cvtepi32_ps(total[v][m]), x_scale), scale)));
    }
  }
}

VLM_INLINE void tile(const tile_run *run, float *sums, const bool is_unpacked, const int group, const int rows) {
  const int vectors = rows <= 2 ? VECTORS : 1;
#pragma clang loop unroll(full)
  for (int n = 0; n < VECTORS; n += vectors) {
    if (!is_unpacked) prefetch_line(run->scales + 64 * n, &run->stream, run->is_far);
    outputs(run, n, vectors, sums, is_unpacked, group, rows);
  }
}

static void unpack(const tile_run *run, unpacked *y, int64_t group) {
  for (int n = 0; n < VECTORS; n++) {
    const __m256i unit = group == 16 ? block_unit(run->scales, 8 * n, 16) : block_unit(run->scales, 8 * n, 32);
    v_store(y->scale + 8 * n, v_mul(_mm256_castsi256_ps(unit), v_load(run->outputs + 8 * n)));
    for (int64_t i = 8 * n; i < VLM_F4_BLOCK / group * VLM_PANEL; i += VLM_PANEL)
      _mm256_store_si256((void *)(y->factors + i), group == 16 ? factor(run->scales + i, unit, 16) : factor(run->scales + i, unit, 32));
    for (int64_t step = 0; step < 2 * run->dots; step++) {
      __m256i first, second;
      split32(run->codes + step * STEP_BYTES + 32 * n, &first, &second);
      _mm256_store_si256((void *)(y->u8 + 2 * step * STEP_BYTES + 32 * n), first);
      _mm256_store_si256((void *)(y->u8 + (2 * step + 1) * STEP_BYTES + 32 * n), second);
    }
  }
}

#define TILES(DO, GROUP) DO(GROUP, 1) DO(GROUP, 2) DO(GROUP, 3) DO(GROUP, 4) DO(GROUP, 5) DO(GROUP, 6)
#include "../vectors/linear_f4_int8_tiles.inl"
