#include "../attention.h"

#if VLM_X86_64
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma,f16c"))), apply_to = function)
#include "simd_avx512.h"
#include "../vectors/math_body.inl"
#include "../vectors/row_pointers.inl"

// Rounds weights to bf16, over the scores that they are made of; returns what they are now.
static inline v_f32 keep_weights(float *scores, int64_t j, v_f32 p) {
  __m256i rounded = (__m256i)_mm512_cvtneps_pbh(p);
  _mm256_storeu_si256((void *)((uint16_t *)scores + j), rounded);
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(rounded), 16));
}
#include "../vectors/attention_softmax.inl"

enum { ROWS = 12, WIDE_ROWS = 6 };  // most rows beside 2 and beside 4 vectors of columns

// C[rows, columns] (+)= A[rows, k] · B[k, columns] of bf16 in pairs along k, sums in f32.
typedef struct {
  int64_t k;
  const void *a;
  int64_t a_stride;   // in bytes
  const uint32_t *b;  // whole vectors are read
  int64_t b_stride;   // between pairs of rows
  float *c;           // whole vectors are read and written
  int64_t c_stride;
  bool accumulate;
  const char *next;   // what to prefetch meanwhile, any address; moves on
} pairs_tile;

// Of the last row of an odd k nothing is beside the first of a pair, unless `both`.
VLM_INLINE void pairs_step(const row_pointers *a, int64_t a_stride, const int offset, const uint32_t *b, const bool both, v_f32 sum[][4],
                           const int rows, const int vectors) {
  __m512bh w[4];
#pragma clang loop unroll(full)
  for (int n = 0; n < vectors; n++) {
    const __m512i pair = _mm512_loadu_si512(b + n * V_WIDTH);
    w[n] = (__m512bh)(both ? pair : _mm512_and_si512(pair, _mm512_set1_epi32(0xffff)));
  }
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++) {
    int32_t pair;
    __builtin_memcpy(&pair, row_pointer(a, a_stride, m, offset), sizeof pair);
    __m512bh x = (__m512bh)_mm512_set1_epi32(pair);
#pragma clang loop unroll(full)
    for (int n = 0; n < vectors; n++) sum[m][n] = _mm512_dpbf16_ps(sum[m][n], x, w[n]);
  }
}

VLM_INLINE void pairs_rows(pairs_tile *g, const int rows, const int vectors) {
  v_f32 sum[ROWS][4];
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++)
#pragma clang loop unroll(full)
    for (int n = 0; n < vectors; n++) sum[m][n] = g->accumulate ? v_load(g->c + m * g->c_stride + n * V_WIDTH) : v_zero();
  const uint32_t *b = g->b;
  const char *next = g->next;
  row_pointers a = row_pointers_at(g->a, g->a_stride, rows);
  int64_t k = g->k;
  for (; k >= 4; k -= 4, row_pointers_advance(&a, 8, rows), next += 128 * vectors) {
#pragma clang loop unroll(full)
    for (int i = 0; i < 2; i++, b += g->b_stride) {
#pragma clang loop unroll(full)
      for (int line = i * vectors; line < (i + 1) * vectors; line++) __builtin_prefetch(next + 64 * line, 0, 2);
      pairs_step(&a, g->a_stride, 4 * i, b, true, sum, rows, vectors);
    }
  }
  for (; k >= 2; k -= 2, b += g->b_stride, row_pointers_advance(&a, 4, rows)) pairs_step(&a, g->a_stride, 0, b, true, sum, rows, vectors);
  if (k > 0) pairs_step(&a, g->a_stride, 0, b, false, sum, rows, vectors);
  g->next = next;
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++)
#pragma clang loop unroll(full)
    for (int n = 0; n < vectors; n++) v_store(g->c + m * g->c_stride + n * V_WIDTH, sum[m][n]);
}

#define PAIRS_CASES(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12)
#define PAIRS_DEFINE(R) \
  static __attribute__((noinline)) void pairs_##R##x1(pairs_tile *g) { pairs_rows(g, R, 1); } \
  static __attribute__((noinline)) void pairs_##R##x2(pairs_tile *g) { pairs_rows(g, R, 2); } \
  static __attribute__((noinline)) void pairs_##R##x4(pairs_tile *g) { pairs_rows(g, R, R <= WIDE_ROWS ? 4 : 2); }
PAIRS_CASES(PAIRS_DEFINE)
#undef PAIRS_DEFINE

typedef void pairs_fn(pairs_tile *g);
#define PAIRS_ROW(R) {pairs_##R##x1, pairs_##R##x2, pairs_##R##x4},
static pairs_fn *const products[][3] = {PAIRS_CASES(PAIRS_ROW)};

// Columns of C in steps of one, two or four vectors; `width` is a multiple of V_WIDTH.
static void pairs_wide(pairs_tile g, int64_t rows, int64_t width) {
  const uint32_t *b = g.b;
  float *c = g.c;
  for (int64_t n = 0, vectors; n < width; n += vectors * V_WIDTH) {
    int64_t left = (width - n) / V_WIDTH;
    int step = left >= 4 && rows <= WIDE_ROWS ? 2 : left >= 2 ? 1 : 0;
    vectors = 1 << step;
    g.b = b + n;
    g.c = c + n;
    products[rows - 1][step](&g);
  }
}

// Rounds the queries to bf16, each row in its place.
static void round_queries(const vlm_query_tile *tile) {
  for (int64_t r = 0; r < tile->rows; r++) {
    float *q = tile->q + r * tile->stride;
    for (int64_t i = 0; i < tile->stride; i += V_WIDTH) keep_weights(q, i, v_load(q + i));
  }
}

static void attend_pairs(const vlm_query_tile *tile, const vlm_key_tile *keys) {
  const int64_t row_bytes = tile->stride * (int64_t)sizeof(float), score_bytes = VLM_KEYS_MAX * (int64_t)sizeof(float);
  if (keys->first) round_queries(tile);
  for (int64_t row = 0; row < tile->rows; row += ROWS) {
    int64_t rows = vlm_min(ROWS, tile->rows - row), most = vlm_most_visible(keys, row, rows);
    if (most == 0) continue;
    if (!keys->streams) vlm_prefetch_next(tile, keys, row, rows);
    int64_t width = vlm_ceil_div(most, V_WIDTH) * V_WIDTH;
    pairs_tile scores = {.k = tile->head_dim, .a = tile->q + row * tile->stride, .a_stride = row_bytes, .b = keys->k,
                         .b_stride = keys->k_stride, .c = tile->scores, .c_stride = VLM_KEYS_MAX, .accumulate = false,
                         .next = keys->streams ? keys->next_k : keys->k};
    pairs_wide(scores, rows, width);
    softmax_rows(tile, keys, row, rows, width);
    pairs_tile values = {.k = most, .a = tile->scores, .a_stride = score_bytes, .b = keys->v, .b_stride = keys->v_stride,
                         .c = tile->out + row * tile->stride, .c_stride = tile->stride, .accumulate = true,
                         .next = keys->streams ? keys->next_v : keys->v};
    pairs_wide(values, rows, tile->stride);
  }
}

void vlm_attend_avx512bf16(const vlm_query_tile *tile, const vlm_key_tile *keys) {
  if (keys->bf16) attend_pairs(tile, keys);
  else vlm_attend_avx512(tile, keys);
}
#pragma clang attribute pop
#endif
