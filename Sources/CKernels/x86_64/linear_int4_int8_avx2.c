#include "../math_scalar.h"

#if VLM_X86_64
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "simd_avx2.h"
#include "math_body.inl"
#include "linear_blocks.inl"
#include "row_pointers.inl"
#include "linear_int8_blocks.inl"

// A tile is TILE_ROWS rows × 8 outputs of a panel's 32. Products of 32 inputs of int4, or of 16 of e2m1, are summed in 16 bits, where 8 sums
// of two products of at most 15 · 128 have room, or 4 of 28 · 128; then in 32 bits.
enum { TILE_ROWS = 6, THIN_ROWS = 24, INPUTS = 512, PREFETCH = 2176 };
#define CHUNK(KIND) ((KIND) == INT4 ? 32 : 16)

static inline __m256i four(const void *q) {
  int32_t v;
  __builtin_memcpy(&v, q, 4);
  return _mm256_set1_epi32(v);
}

// sums += scale · x.scale · (dot − zero · x.sum) of outputs 8n...8n + 7, whose dots are integers; the zero of e2m1 is VLM_I8_CENTRE.
VLM_INLINE void add_group(const __m256i *dot, const code_groups *w, const row_pointers *at, int64_t stride, const int n, float *sums,
                          const code_kind kind, const int rows) {
  v_f32 scale = group_scales(w, w->scales, 8 * n, kind);
  __m256i zero = kind == INT4 ? _mm256_cvtps_epi32(v_from_f16((const uint16_t *)w->scales + VLM_PANEL + 8 * n)) : _mm256_setzero_si256();
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++) {
    // |x.sum| < 2¹⁵, and the high halves of zero are 0.
    __m256i x_sum = four(row_pointer(at, stride, m, offsetof(vlm_i8_tail, sum)));
    __m256i shift = kind == INT4 ? _mm256_madd_epi16(zero, x_sum) : _mm256_slli_epi32(x_sum, VLM_I8_CENTRE_BITS);
    v_f32 x_scale = _mm256_castsi256_ps(four(row_pointer(at, stride, m, offsetof(vlm_i8_tail, scale))));
    v_f32 product = v_mul(_mm256_cvtepi32_ps(_mm256_sub_epi32(dot[m], shift)), x_scale);
    float *sum = sums + m * VLM_PANEL + 8 * n;
    v_store(sum, v_fma(scale, product, v_load(sum)));
  }
}

// Codes in the low and in the high halves of 32 bytes as u8: int4 as they are, e2m1 twice and centred.
VLM_INLINE void split32(const uint8_t *codes, const code_kind kind, __m256i *first, __m256i *second) {
  const __m256i low = _mm256_set1_epi8(15), v = _mm256_loadu_si256((const void *)codes);
  *first = _mm256_and_si256(v, low);
  *second = _mm256_and_si256(_mm256_srli_epi16(v, 4), low);
  if (kind == INT4) return;
  const __m256i twice = _mm256_broadcastsi128_si256(_mm_setr_epi8(TWICE_F4));
  *first = _mm256_shuffle_epi8(twice, *first);
  *second = _mm256_shuffle_epi8(twice, *second);
}

// The dots of `chunk` inputs, of outputs 8n...8n + 7; `split` says that the weights are u8 already.
VLM_INLINE void add_chunk(const uint8_t *w, const row_pointers *at, int64_t stride, __m256i dot[], const bool split, const code_kind kind, const int rows) {
  const __m256i one = _mm256_set1_epi16(1);
  __m256i sum[TILE_ROWS];
#pragma clang loop unroll(full)
  for (int i = 0; i < CHUNK(kind) / 8; i++, w += split ? 2 * STEP_BYTES : STEP_BYTES) {
    __m256i a, b;
    if (split) {
      a = _mm256_loadu_si256((const void *)w);
      b = _mm256_loadu_si256((const void *)(w + STEP_BYTES));
    } else {
      split32(w, kind, &a, &b);
    }
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) {
      __m256i first = _mm256_maddubs_epi16(a, four(row_pointer(at, stride, m, 8 * i)));
      __m256i second = _mm256_maddubs_epi16(b, four(row_pointer(at, stride, m, 8 * i + 4)));
      sum[m] = _mm256_add_epi16(i == 0 ? first : _mm256_add_epi16(sum[m], first), second);
    }
  }
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++) dot[m] = _mm256_add_epi32(dot[m], _mm256_madd_epi16(sum[m], one));
}

// One group of outputs 8n … 8(n + vectors) − 1: the vectors take turns chunk by chunk, so that memory is read in its order.
VLM_INLINE void tile(const tile_run *run, const code_groups *w, row_pointers at, const int n, const int vectors, float *sums, const bool split,
                     const code_kind kind, const int rows) {
  const int bytes = CHUNK(kind) / 8 * STEP_BYTES;
  const uint8_t *codes = (split ? run->u8 : w->codes) + 32 * n;
  __m256i dot[4][TILE_ROWS];
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++)
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) dot[v][m] = _mm256_setzero_si256();
  for (int64_t k = 0; k < w->group; k += CHUNK(kind), codes += split ? 2 * bytes : bytes, row_pointers_advance(&at, CHUNK(kind), rows)) {
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) {
      if (!split)
#pragma clang loop unroll(full)
        for (int line = 0; line < bytes / 4; line += 64) _mm_prefetch((const char *)codes + 32 * v + run->ahead + (bytes / 4 - 32) * (n + v) + line, _MM_HINT_T0);
      add_chunk(codes + 32 * v, &at, run->x_stride, dot[v], split, kind, rows);
    }
  }
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) add_group(dot[v], w, &at, run->x_stride, n + v, sums, kind, rows);
}

VLM_INLINE void thin(const tile_run *run, float *sums, const code_kind kind, const int rows) {
  code_groups w = run->w;
  row_pointers at = row_pointers_at(run->x, run->x_stride, rows);
  const int vectors = rows <= 2 ? 4 : 1;
  for (int64_t g = 0; g < run->groups; next_group(&w, g++, kind)) {
    _mm_prefetch((const char *)w.scales + run->ahead, _MM_HINT_T0);
    if (kind == INT4) _mm_prefetch((const char *)w.scales + run->ahead + 64, _MM_HINT_T0);
#pragma clang loop unroll(full)
    for (int n = 0; n < 4; n += vectors) tile(run, &w, at, n, vectors, sums, false, kind, rows);
    row_pointers_advance(&at, vlm_i8_group_bytes(w.group), rows);
  }
}

VLM_INLINE void tall(const tile_run *run, float *sums, const code_kind kind, const int rows) {
  row_pointers at = row_pointers_at(run->x, run->x_stride, rows);
  for (int n = 0; n < 4; n++) tile(run, &run->w, at, n, 1, sums, true, kind, rows);
}

#define TILES(DO, KIND) DO(KIND, 1) DO(KIND, 2) DO(KIND, 3) DO(KIND, 4) DO(KIND, 5) DO(KIND, 6)
#include "linear_int8_tiles.inl"

// Splits the codes of a group.
static void split(const code_groups *w, uint8_t *y, const code_kind kind) {
  for (int64_t k = 0; k < w->group; k += 8, y += 2 * STEP_BYTES)
    for (int n = 0; n < 4; n++) {
      __m256i first, second;
      split32(w->codes + k * (VLM_PANEL / 2) + 32 * n, kind, &first, &second);
      _mm256_store_si256((void *)(y + 32 * n), first);
      _mm256_store_si256((void *)(y + STEP_BYTES + 32 * n), second);
    }
}

// Groups outside, rows inside: a split group stays in the first cache.
static void tall_block(const vlm_linear_args *a, const linear_block *b) {
  const code_kind kind = kind_of(a);
  clear_sums(b);
  for (int64_t k = b->k; k < b->k + b->k_count; k += a->group) {
    tile_run run = {.x_stride = i8_stride(a), .w = groups_at(a, b->panel, k), .u8 = (const uint8_t *)b->weights, .groups = 1};
    split(&run.w, (uint8_t *)b->weights, kind);
    for (int64_t m = 0; m < b->rows; m += TILE_ROWS) {
      linear_prefetch(b, run.w.codes + run.w.code_step, run.w.code_step, m, TILE_ROWS);
      run.x = i8_rows(a, b->row + m, k);
      tall_tiles[kind][vlm_min(TILE_ROWS, b->rows - m) - 1](&run, b->sums + m * VLM_PANEL);
    }
  }
}

void vlm_linear_int4_int8_6x8_avx2(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) { linear_int8(a, begin, end, scratch); }
void vlm_linear_f4_int8_6x8_avx2(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) { linear_int8(a, begin, end, scratch); }
#pragma clang attribute pop
#endif
