#include "../attention.h"

#if VLM_X86_64
#define TARGET "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma,f16c,amx-tile,amx-bf16"
#pragma clang attribute push(__attribute__((target(TARGET))), apply_to = function)
#include "simd_avx512.h"
#include "tiles_amx.h"
#include "../vectors/math_body.inl"
#include "attention_amx.inl"

// A few rows of queries are multiplied by vectors, which need no pairs: memory is waited for less. What a tile product gives is C + (Σ of even
// products + Σ of odd ones), each sum from 0 by multiply-adds that round once, and what is below the normal numbers is 0 (found by comparing
// bits): so these sums have the same bits. Queries are then f32 with the bits of bf16, and so are weights.
enum { FEW_ROWS = 4 };

static bool are_few(const vlm_query_tile *tile, const vlm_key_tile *keys) {
  return tile->rows <= FEW_ROWS && tile->head_dim % DEPTH == 0 && keys->k_stride % DEPTH == 0;
}

// Sums of even and odd products of some rows by two vectors: the even and the odd ones of 32 columns.
typedef struct {
  v_f32 even[FEW_ROWS][2], odd[FEW_ROWS][2];
} few_sums;

VLM_INLINE void few_zero(few_sums *s, const int rows) {
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++) s->even[m][0] = s->even[m][1] = s->odd[m][0] = s->odd[m][1] = v_zero();
}

// sums += a[m · stride] · b[32].
VLM_INLINE void few_multiply(v_f32 sums[][2], const float *a, int64_t stride, const uint16_t *b, const int rows) {
  v_f32 first, second;
  v_split_bf16(b, &first, &second);
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++) {
    const v_f32 x = v_set1(a[m * stride]);
    sums[m][0] = v_fma(x, first, sums[m][0]);
    sums[m][1] = v_fma(x, second, sums[m][1]);
  }
}

VLM_INLINE void few_add(const few_sums *s, float *c, int64_t stride, const int rows) {
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++) {
    float *row = c + m * stride;
    v_f32 first, second;
    v_zip(v_add(s->even[m][0], s->odd[m][0]), v_add(s->even[m][1], s->odd[m][1]), &first, &second);
    v_store(row, v_add(v_load(row), first));
    v_store(row + V_WIDTH, v_add(v_load(row + V_WIDTH), second));
  }
}

VLM_INLINE void few_scores(const vlm_query_tile *tile, const vlm_key_tile *keys, int64_t width, lines_ahead *ahead, const int rows) {
  const int64_t stride = keys->k_stride, q_stride = tile->stride, dim = tile->head_dim;
  for (int64_t j = 0; j < width; j += DEPTH) {
    float *scores = tile->scores + j;
    const uint16_t *k = (const uint16_t *)keys->k + j;
    for (int m = 0; m < rows; m++)
      for (int n = 0; n < 2; n++) v_store(scores + m * VLM_SCORES_AMX + n * V_WIDTH, v_zero());
    for (int64_t i = 0; i < dim; i += DEPTH) {
      few_sums s;
      few_zero(&s, rows);
      const float *q = tile->q + i;
      for (int p = 0; p < DEPTH / 2; p++, q += 2, k += 2 * stride) {
        ask_lines(ahead, 2);
        few_multiply(s.even, q, q_stride, k, rows);
        few_multiply(s.odd, q + 1, q_stride, k + stride, rows);
      }
      few_add(&s, scores, VLM_SCORES_AMX, rows);
    }
  }
}

// Key j of 32 is the partner of key j + 16.
VLM_INLINE void few_values(const vlm_query_tile *tile, const vlm_key_tile *keys, int64_t width, lines_ahead *ahead, const int rows) {
  const int64_t stride = keys->v_stride, columns = tile->stride, count = keys->count;
  for (int64_t j = 0; j < width; j += DEPTH) {
    const float *weights = tile->scores + j;
    for (int64_t i = 0; i < columns; i += DEPTH) {
      const uint16_t *v = (const uint16_t *)keys->v + j * stride + i, *partner = v + DEPTH / 2 * stride;
      const int firsts = (int)vlm_min(DEPTH / 2, count - j), seconds = (int)vlm_min(DEPTH / 2, count - j - DEPTH / 2);
      few_sums s;
      few_zero(&s, rows);
      for (int p = 0; p < firsts; p++, v += stride, partner += stride) {
        ask_lines(ahead, 2);
        few_multiply(s.even, weights + p, VLM_SCORES_AMX, v, rows);
        if (p < seconds) few_multiply(s.odd, weights + p + DEPTH / 2, VLM_SCORES_AMX, partner, rows);
      }
      few_add(&s, tile->out + i, columns, rows);
    }
    for (int m = 0; m < rows; m++) {
      const float *w = weights + m * VLM_SCORES_AMX;
      float even = 0, odd = 0;
#pragma clang loop unroll(full)
      for (int p = 0; p < DEPTH / 2; p++) {
        even += w[p];
        odd += w[p + DEPTH / 2];
      }
      tile->sum[m * VLM_SUM_LANES] += even + odd;
    }
  }
}

#define FEW_CASES(DO) DO(1) DO(2) DO(3) DO(4)
#define FEW_DEFINE(R) \
  static __attribute__((noinline)) void few_scores_##R(const vlm_query_tile *tile, const vlm_key_tile *keys, int64_t width, lines_ahead *ahead) { \
    lines_ahead a = *ahead; \
    few_scores(tile, keys, width, &a, R); \
    *ahead = a; \
  } \
  static __attribute__((noinline)) void few_values_##R(const vlm_query_tile *tile, const vlm_key_tile *keys, int64_t width, lines_ahead *ahead) { \
    lines_ahead a = *ahead; \
    few_values(tile, keys, width, &a, R); \
  }
FEW_CASES(FEW_DEFINE)
#undef FEW_DEFINE

typedef void few_fn(const vlm_query_tile *tile, const vlm_key_tile *keys, int64_t width, lines_ahead *ahead);
#define FEW_ROW(R) {few_scores_##R, few_values_##R},
static few_fn *const few_products[][2] = {FEW_CASES(FEW_ROW)};

static void attend_few(const vlm_query_tile *tile, const vlm_key_tile *keys, lines_ahead *ahead) {
  const query_step step = step_at(tile, keys, 0);
  lines_ahead none = {0};
  softmax_work work;
  work.tile = tile;
  work.keys = keys;
  work.ahead = &none;
  work.scores = work.end = NULL;
  begin_step(&work, &step);
  few_products[tile->rows - 1][0](tile, keys, step.width, ahead);
  while (work.next < step.rows) {
    begin_row(&work);
    for (float *y = (float *)work.scores; work.scores < work.end; work.scores += V_WIDTH, y += V_WIDTH)
      v_store(y, (v_f32)_mm512_and_si512(exp2_half_up(v_sub(v_load(y), work.shift)), _mm512_set1_epi32((int)0xffff0000)));
  }
  end_step(&work);
  few_products[tile->rows - 1][1](tile, keys, step.width, ahead);
}

// Rounds the queries to bf16, each row in its place.
static void round_queries(const vlm_query_tile *tile, bool widens) {
  for (int64_t r = 0; r < tile->rows; r++) {
    float *q = tile->q + r * tile->stride;
    for (int64_t i = 0; widens && i < tile->stride; i += V_WIDTH)
      v_store(q + i, (v_f32)_mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(v_load(q + i))), 16));
    if (widens) continue;
    uint16_t *y = (uint16_t *)q;
    for (int64_t i = 0; i < vlm_ceil_div(tile->head_dim, DEPTH) * DEPTH; i += V_WIDTH)
      _mm256_storeu_si256((void *)(y + i), (__m256i)_mm512_cvtneps_pbh(i < tile->stride ? v_load(q + i) : v_zero()));
  }
}

// Which words of two vectors make one of the first or second halves of both in turns.
static inline __m512i halves(const int from) {
  const __m512i low = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6, 37, 5, 36, 4, 35, 3, 34, 2, 33, 1,
                                       32, 0);
  return from ? _mm512_add_epi16(low, _mm512_set1_epi16(16)) : low;
}

// The first `count` of 32 numbers of a row, zeros in place of the others.
VLM_INLINE __m512i numbers(const uint16_t *row, int64_t count) {
  if (count >= DEPTH) return _mm512_loadu_si512(row);
  return _mm512_maskz_loadu_epi16(count > 0 ? (1u << count) - 1 : 0, row);
}

// `whole`: no tile is padded.
VLM_INLINE void pair_keys(const vlm_query_tile *tile, const vlm_key_tile *keys, lines_ahead *asked, const bool whole) {
  const int64_t dim = tile->head_dim, stride = keys->k_stride, depths = vlm_ceil_div(dim, DEPTH);
  const int64_t tokens = vlm_min(stride, vlm_ceil_div(keys->count, DEPTH) * DEPTH);
  const uint16_t *k = keys->k;
  uint32_t *const pairs = tile->paired_k;
  const __m512i low = halves(0), high = halves(1);
  lines_ahead ahead = *asked;
  for (int64_t i = 0; i < depths * DEPTH; i += 2, k += 2 * stride) {
    uint32_t *y = pairs + (i / DEPTH * TILE_ROWS + i % DEPTH / 2) * V_WIDTH;
    for (int64_t j = 0; j < tokens; j += DEPTH, y += 2 * depths * (TILE_SIZE / 4)) {
      const __m512i even = whole || i < dim ? numbers(k + j, whole ? DEPTH : stride - j) : _mm512_setzero_si512();
      const __m512i odd = whole || i + 1 < dim ? numbers(k + stride + j, whole ? DEPTH : stride - j) : _mm512_setzero_si512();
      ask_lines(&ahead, 1);
      _mm512_storeu_si512(y, _mm512_permutex2var_epi16(even, low, odd));
      _mm512_storeu_si512(y + depths * (TILE_SIZE / 4), _mm512_permutex2var_epi16(even, high, odd));
    }
  }
  *asked = ahead;
}

VLM_INLINE void pair_values(const vlm_query_tile *tile, const vlm_key_tile *keys, lines_ahead *asked, const bool whole) {
  const int64_t dim = tile->head_dim, stride = keys->v_stride, count = keys->count, columns = tile->stride;
  const uint16_t *row = keys->v;
  uint32_t *tiles = tile->paired_v;
  const __m512i low = halves(0), high = halves(1);
  lines_ahead ahead = *asked;
  for (int64_t j = 0; j < count; j += DEPTH, row += TILE_ROWS * stride, tiles += TILE_ROWS * columns)
    for (int64_t r = 0; r < TILE_ROWS; r++, row += stride) {
      uint32_t *y = tiles + r * V_WIDTH;
      for (int64_t i = 0; i < columns; i += DEPTH, y += 2 * (TILE_SIZE / 4)) {
        const __m512i first = numbers(row + i, whole ? DEPTH : j + r < count ? dim - i : 0);
        const __m512i second = numbers(row + TILE_ROWS * stride + i, whole ? DEPTH : j + r + TILE_ROWS < count ? dim - i : 0);
        ask_lines(&ahead, 1);
        _mm512_storeu_si512(y, _mm512_permutex2var_epi16(first, low, second));
        if (whole || i + V_WIDTH < columns) _mm512_storeu_si512(y + TILE_SIZE / 4, _mm512_permutex2var_epi16(first, high, second));
      }
    }
  *asked = ahead;
}

// Rows of one step: keys and then values are in pairs in the same room, so that it stays in the first cache.
static void attend_step(const vlm_query_tile *tile, const vlm_key_tile *keys, lines_ahead *ahead, const bool whole) {
  const query_step step = step_at(tile, keys, 0), none = {.scores = NULL};
  vlm_query_tile values = *tile;
  values.paired_v = tile->paired_k;
  softmax_work work;
  work.tile = tile;
  work.keys = keys;
  work.ahead = ahead;
  work.scores = work.end = NULL;
  begin_step(&work, &none);
  if (whole) pair_keys(tile, keys, ahead, true);
  else pair_keys(tile, keys, ahead, false);
  tiles_begin(TILE_BYTES, vlm_min(tile->rows, TILE_ROWS), TILE_ROWS);
  score_step(tile, tile->paired_k, &step, &work);
  begin_step(&work, &step);
  if (whole) pair_values(&values, keys, ahead, true);
  else pair_values(&values, keys, ahead, false);
  end_step(&work);
  value_step(tile, tile->paired_k, &step, &work);
  _tile_release();
}

static void attend_pairs(const vlm_query_tile *tile, const vlm_key_tile *keys, lines_ahead *ahead) {
  const bool is_whole = tile->head_dim % DEPTH == 0 && keys->count % DEPTH == 0;
  if (tile->rows <= VLM_TILES_STEP) return attend_step(tile, keys, ahead, is_whole);
  if (is_whole) {
    pair_keys(tile, keys, ahead, true);
    pair_values(tile, keys, ahead, true);
  } else {
    pair_keys(tile, keys, ahead, false);
    pair_values(tile, keys, ahead, false);
  }
  attend_tiles(tile, keys, tile->paired_k, tile->paired_v, ahead, false);
}

void vlm_attend_amx(const vlm_query_tile *tile, const vlm_key_tile *keys) {
  if (!keys->bf16) return vlm_attend_avx512(tile, keys);
  const bool few = are_few(tile, keys);
  if (keys->first) round_queries(tile, few);
  if (vlm_most_visible(keys, 0, tile->rows) == 0) return;
  lines_ahead ahead = lines_of(keys->next_k, keys->next_v, keys->next_count * keys->next_bytes);
  // Numbers too small to be normal are 0, as they are to tiles.
  const unsigned mode = _mm_getcsr();
  _mm_setcsr(mode | 0x8040);
  if (few) attend_few(tile, keys, &ahead);
  else attend_pairs(tile, keys, &ahead);
  _mm_setcsr(mode);
}
#pragma clang attribute pop
#endif
