#include "../attention.h"

#if VLM_X86_64
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma,f16c"))), apply_to = function)
#include "simd_avx512.h"
#include "../vectors/math_body.inl"
#include "../vectors/row_pointers.inl"

enum { ROWS = VLM_ATTENTION_STEP };

// C[rows, columns] (+)= A[rows, 2 · pairs] · B[pairs, columns] of bf16, B in pairs along its rows, sums in f32.
typedef struct {
  int64_t pairs;
  const void *a;
  int64_t a_stride;   // in bytes
  const uint32_t *b;  // whole vectors are read
  int64_t b_stride;
  float *c;           // whole vectors are read and written
  int64_t c_stride;
  const float *kept;  // what each row of C is multiplied by before; NULL: it is written
} paired_product;

VLM_INLINE void paired_step(const row_pointers *a, int64_t a_stride, const int offset, const uint32_t *b, v_f32 sum[][2], const int rows,
                            const int vectors) {
  __m512bh w[2];
#pragma clang loop unroll(full)
  for (int n = 0; n < vectors; n++) w[n] = (__m512bh)_mm512_loadu_si512(b + n * V_WIDTH);
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++) {
    int32_t pair;
    __builtin_memcpy(&pair, row_pointer(a, a_stride, m, offset), sizeof pair);
    __m512bh x = (__m512bh)_mm512_set1_epi32(pair);
#pragma clang loop unroll(full)
    for (int n = 0; n < vectors; n++) sum[m][n] = _mm512_dpbf16_ps(sum[m][n], x, w[n]);
  }
}

VLM_INLINE void paired_rows(const paired_product *p, const int rows, const int vectors) {
  v_f32 sum[ROWS][2];
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++)
#pragma clang loop unroll(full)
    for (int n = 0; n < vectors; n++)
      sum[m][n] = p->kept ? v_mul(v_load(p->c + m * p->c_stride + n * V_WIDTH), v_set1(p->kept[m])) : v_zero();
  const uint32_t *b = p->b;
  row_pointers a = row_pointers_at(p->a, p->a_stride, rows);
  int64_t pairs = p->pairs;
  for (; pairs >= 4; pairs -= 4, row_pointers_advance(&a, 16, rows)) {
#pragma clang loop unroll(full)
    for (int i = 0; i < 4; i++, b += p->b_stride) paired_step(&a, p->a_stride, 4 * i, b, sum, rows, vectors);
  }
  for (; pairs > 0; pairs--, b += p->b_stride, row_pointers_advance(&a, 4, rows)) paired_step(&a, p->a_stride, 0, b, sum, rows, vectors);
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++)
#pragma clang loop unroll(full)
    for (int n = 0; n < vectors; n++) v_store(p->c + m * p->c_stride + n * V_WIDTH, sum[m][n]);
}

#define PAIRED_CASES(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12)
#define PAIRED_DEFINE(R) \
  static __attribute__((noinline)) void paired_##R##x1(const paired_product *p) { paired_rows(p, R, 1); } \
  static __attribute__((noinline)) void paired_##R##x2(const paired_product *p) { paired_rows(p, R, 2); }
PAIRED_CASES(PAIRED_DEFINE)
#undef PAIRED_DEFINE

typedef void paired_fn(const paired_product *p);
#define PAIRED_ROW(R) {paired_##R##x1, paired_##R##x2},
static paired_fn *const products[][2] = {PAIRED_CASES(PAIRED_ROW)};

// 2ˣ for x ≤ 0 within 3e-6 of it.
static inline v_f32 exp2_for_bf16(v_f32 x) {
  v_f32 r = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  v_f32 p = v_fma(v_set1(VLM_EXP2_BF16_C4), r, v_set1(VLM_EXP2_BF16_C3));
  p = v_fma(p, r, v_set1(VLM_EXP2_BF16_C2));
  p = v_fma(p, r, v_set1(VLM_EXP2_BF16_C1));
  return v_scale2(v_fma(p, r, v_set1(1)), x);
}

// softcap · tanh(score / softcap) of each score.
__attribute__((noinline)) static void cap_row(float *scores, int64_t width, float softcap) {
  v_f32 cap = v_set1(softcap), inverse = v_set1(1 / softcap);
  for (int64_t j = 0; j < width; j += V_WIDTH) v_store(scores + j, v_mul(cap, v_tanh(v_mul(v_load(scores + j), inverse))));
}

// Turns the first `count` scores of a row into 2^(score − most) in bf16, over the scores, and those up to `width`, a multiple of
// 2 · V_WIDTH, into zeros; adds them to the row's sum. Returns what the row's output is to be multiplied by: 2^(before − most).
static float weigh_row(const vlm_query_tile *tile, int64_t row, float *scores, int64_t count, int64_t width) {
  const v_f32 least = v_set1(-__builtin_inff());
  const __m512bh ones = (__m512bh)_mm512_set1_epi16(0x3f80);
  if (count < width) v_store_part(scores + width - V_WIDTH, (v_mask)~v_first(count - width + V_WIDTH), least);
  if (count < width - V_WIDTH) v_store_part(scores + width - 2 * V_WIDTH, (v_mask)~v_first(count - width + 2 * V_WIDTH), least);
  v_f32 greatest[2] = {least, least};
  for (int64_t j = 0; j < width; j += 2 * V_WIDTH)
    for (int n = 0; n < 2; n++) greatest[n] = v_max(v_load(scores + j + n * V_WIDTH), greatest[n]);
  float before = tile->most[row], most = v_most(v_max(greatest[0], greatest[1]));
  if (before > most) most = before;
  tile->most[row] = most;
  v_f32 shift = v_set1(most), kept = before == -__builtin_inff() ? v_zero() : exp2_for_bf16(v_set1(before - most));
  float *lanes = tile->sum + row * VLM_SUM_LANES;
  v_f32 sum = v_mul(v_load(lanes), kept);
  for (int64_t j = 0; j < width; j += 2 * V_WIDTH) {
    v_f32 low = exp2_for_bf16(v_sub(v_load(scores + j), shift)), high = exp2_for_bf16(v_sub(v_load(scores + j + V_WIDTH), shift));
    __m512bh weights = _mm512_cvtne2ps_pbh(high, low);
    _mm512_storeu_si512((uint16_t *)scores + j, (__m512i)weights);
    sum = _mm512_dpbf16_ps(sum, weights, ones);
  }
  v_store(lanes, sum);
  return _mm512_cvtss_f32(kept);
}

void vlm_attend_pairs_avx512bf16(const vlm_query_tile *tile, const vlm_key_tile *keys) {
  const int64_t pairs = vlm_ceil_div(tile->head_dim, 2), width = vlm_ceil_div(keys->count, VLM_PANEL) * VLM_PANEL;
  float kept[ROWS];
  for (int64_t row = 0; row < tile->rows; row += ROWS) {
    int64_t rows = vlm_min(ROWS, tile->rows - row);
    vlm_prefetch_next(tile, keys, row, rows);
    paired_product scores = {.pairs = pairs, .a = tile->q + row * tile->stride, .a_stride = tile->stride * (int64_t)sizeof(float),
                             .b = keys->k, .b_stride = VLM_PANEL, .c = tile->scores, .c_stride = VLM_KEYS_MAX};
    for (int64_t n = 0; n < width; n += VLM_PANEL, scores.b += pairs * VLM_PANEL, scores.c += VLM_PANEL) products[rows - 1][1](&scores);
    for (int64_t r = 0; r < rows; r++) {
      float *of_row = tile->scores + r * VLM_KEYS_MAX;
      if (keys->softcap > 0) cap_row(of_row, width, keys->softcap);
      kept[r] = weigh_row(tile, row + r, of_row, keys->count, width);
    }
    paired_product values = {.pairs = vlm_ceil_div(keys->count, 2), .a = tile->scores, .a_stride = VLM_KEYS_MAX * (int64_t)sizeof(float),
                             .b = keys->v, .b_stride = tile->stride, .c = tile->out + row * tile->stride, .c_stride = tile->stride,
                             .kept = kept};
    for (int64_t n = 0; n < tile->stride; n += 2 * V_WIDTH, values.b += 2 * V_WIDTH, values.c += 2 * V_WIDTH)
      products[rows - 1][tile->stride - n > V_WIDTH](&values);
  }
}

void vlm_round_query_avx512bf16(const float *x, int64_t head_dim, float scale, uint16_t *q) {
  v_f32 factor = v_set1(scale * VLM_LOG2E);
  for (int64_t i = 0; i < head_dim; i += V_WIDTH)
    _mm256_storeu_si256((void *)(q + i), (__m256i)_mm512_cvtneps_pbh(v_mul(v_load_part(v_first(head_dim - i), x + i), factor)));
}

// Numbers [at, at + 32) of a row of head_dim as bf16; zeros behind them.
static inline v_f32 pairs_of_row(const float *row, int64_t at, int64_t head_dim) {
  v_f32 low = v_load_part(v_first(head_dim - at), row + at), high = v_zero();
  if (at + V_WIDTH < head_dim) high = v_load_part(v_first(head_dim - at - V_WIDTH), row + at + V_WIDTH);
  return (v_f32)_mm512_cvtne2ps_pbh(high, low);
}

static void pair_keys(const vlm_pairing *p) {
  const int64_t pairs = vlm_ceil_div(p->head_dim, 2);
  for (int64_t j = 0; j < vlm_ceil_div(p->count, VLM_PANEL) * VLM_PANEL; j += V_WIDTH) {
    uint32_t *panel = p->paired_k + j / VLM_PANEL * pairs * VLM_PANEL + j % VLM_PANEL;
    for (int64_t i = 0; i < pairs; i += V_WIDTH) {
      v_f32 in[V_WIDTH], out[V_WIDTH];
#pragma clang loop unroll(full)
      for (int r = 0; r < V_WIDTH; r++) in[r] = j + r < p->count ? pairs_of_row(p->k + (j + r) * p->k_stride, 2 * i, p->head_dim) : v_zero();
      v_transpose(in, out);
#pragma clang loop unroll(full)
      for (int r = 0; r < V_WIDTH; r++)
        if (i + r < pairs) v_store((float *)panel + (i + r) * VLM_PANEL, out[r]);
    }
  }
}

static void pair_values(const vlm_pairing *p) {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2,
                                         17, 1, 16, 0);
  for (int64_t j = 0; j < p->count; j += 2)
    for (int64_t i = 0; i < p->stride; i += V_WIDTH) {
      const float *v = p->v + j * p->v_stride + i;
      v_mask part = v_first(p->head_dim - i);
      v_f32 even = v_load_part(part, v), odd = j + 1 < p->count ? v_load_part(part, v + p->v_stride) : v_zero();
      _mm512_storeu_si512(p->paired_v + j / 2 * p->stride + i, _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(odd, even)));
    }
}

void vlm_pair_avx512bf16(const vlm_pairing *p) {
  pair_keys(p);
  pair_values(p);
}
#pragma clang attribute pop
#endif
