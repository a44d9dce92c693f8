#include "../math_scalar.h"

#if VLM_X86_64
#include <immintrin.h>
#define TARGET "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c"
#pragma clang attribute push(__attribute__((target(TARGET))), apply_to = function)
#include "simd_avx512.h"
#include "math_body.inl"
#include "linear_blocks.inl"
#include "row_pointers.inl"

enum { TILE_ROWS = 12, THIN_ROWS = 24, INPUTS = 1024, PREFETCH = 2176, STEP_BYTES = VLM_PANEL * 4 };

// The activations of a tile: where the first row's first group begins, and bytes between rows.
typedef struct {
  const char *groups;
  int64_t stride;
} tile_rows;

// The weights of a tile of many rows: `groups` groups of a panel.
typedef struct {
  const uint8_t *blocks;  // packed int4
  const uint8_t *u8;      // unpacked [inputs/4][VLM_PANEL][4], each q − zero + VLM_I8_CENTRE
  int64_t group, groups, block_bytes;
} tile_weights;

static tile_rows rows_at(const vlm_linear_args *a, int64_t row, int64_t k) {
  int64_t stride = (int64_t)vlm_row_bytes(VLM_ROWS_INT8, a->inputs, a->group);
  return (tile_rows){(const char *)a->packed + row * stride + k / a->group * vlm_i8_group_bytes(a->group), stride};
}

static const uint8_t *blocks_at(const vlm_linear_args *a, int64_t panel, int64_t k) {
  return (const uint8_t *)a->weight + (panel * (a->inputs / a->group) + k / a->group) * (int64_t)vlm_int4_block_bytes(a->group);
}

static inline __m512i four(const void *q) {
  int32_t v;
  __builtin_memcpy(&v, q, 4);
  return _mm512_set1_epi32(v);
}

// sums += scale · x.scale · (dot − zero · x.sum) for one group, whose ends `at` points to; the zero of `centred` weights is
// VLM_I8_CENTRE. Dots are integers, so few rows and many have the same sums.
VLM_INLINE void add_group(__m512i dot[][2], const uint16_t *tail, const row_pointers *at, int64_t stride, float *sums, const bool centred,
                          const int rows) {
#pragma clang loop unroll(full)
  for (int n = 0; n < 2; n++) {
    v_f32 scale = v_from_f16(tail + 16 * n);
    // |x.sum| < 2¹⁵, and the high halves of zero are 0.
    __m512i zero = _mm512_cvtps_epi32(v_from_f16(tail + VLM_PANEL + 16 * n));
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) {
      __m512i x_sum = four(row_pointer(at, stride, m, offsetof(vlm_i8_tail, sum)));
      __m512i shift = centred ? _mm512_slli_epi32(x_sum, VLM_I8_CENTRE_BITS) : _mm512_madd_epi16(zero, x_sum);
      v_f32 x_scale = _mm512_castsi512_ps(four(row_pointer(at, stride, m, offsetof(vlm_i8_tail, scale))));
      v_f32 product = v_mul(_mm512_cvtepi32_ps(_mm512_sub_epi32(dot[m][n], shift)), x_scale);
      float *sum = sums + m * VLM_PANEL + 16 * n;
      v_store(sum, v_fma(scale, product, v_load(sum)));
    }
  }
}

// Adds one group straight from its int4 block: every 64 bytes are split into two vectors of u8. `ahead`: bytes to the weight to
// prefetch meanwhile.
VLM_INLINE void thin_group(tile_rows x, const uint8_t *w, int64_t group, int64_t ahead, float *sums, const int rows) {
  const __m512i low = _mm512_set1_epi8(15);
  row_pointers at = row_pointers_at(x.groups, x.stride, rows);
  __m512i dot[12][2];
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++) dot[m][0] = dot[m][1] = _mm512_setzero_si512();
#pragma clang loop unroll_count(4)
  for (int64_t step = 0; step < group; step += 8, w += STEP_BYTES, row_pointers_advance(&at, 8, rows)) {
    __m512i v0 = _mm512_loadu_si512(w), v1 = _mm512_loadu_si512(w + 64);
    _mm_prefetch((const char *)w + ahead, _MM_HINT_T0);
    _mm_prefetch((const char *)w + ahead + 64, _MM_HINT_T0);
    __m512i a0 = _mm512_and_si512(v0, low), b0 = _mm512_and_si512(_mm512_srli_epi16(v0, 4), low);
    __m512i a1 = _mm512_and_si512(v1, low), b1 = _mm512_and_si512(_mm512_srli_epi16(v1, 4), low);
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) {
      __m512i first = four(row_pointer(&at, x.stride, m, 0)), second = four(row_pointer(&at, x.stride, m, 4));
      dot[m][0] = _mm512_dpbusd_epi32(dot[m][0], a0, first);
      dot[m][1] = _mm512_dpbusd_epi32(dot[m][1], a1, first);
      dot[m][0] = _mm512_dpbusd_epi32(dot[m][0], b0, second);
      dot[m][1] = _mm512_dpbusd_epi32(dot[m][1], b1, second);
    }
  }
  _mm_prefetch((const char *)w + ahead, _MM_HINT_T0);
  _mm_prefetch((const char *)w + ahead + 64, _MM_HINT_T0);
  add_group(dot, (const uint16_t *)w, &at, x.stride, sums, false, rows);
}

// Adds a run of groups from unpacked weights; the scales are still in the blocks.
VLM_INLINE void tall(tile_rows x, const tile_weights *w, float *sums, const int rows) {
  row_pointers at = row_pointers_at(x.groups, x.stride, rows);
  const uint8_t *u8 = w->u8, *tail = w->blocks + w->group * VLM_PANEL / 2;
  for (int64_t g = 0; g < w->groups; g++, tail += w->block_bytes) {
    __m512i dot[12][2];
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) dot[m][0] = dot[m][1] = _mm512_setzero_si512();
    row_pointers_prefetch(&at, x.stride, 128, rows);
    if (w->group > 64) row_pointers_prefetch(&at, x.stride, 192, rows);
    for (int64_t step = 0; step < w->group; step += 16, row_pointers_advance(&at, 16, rows)) {
#pragma clang loop unroll(full)
      for (int i = 0; i < 4; i++, u8 += STEP_BYTES) {
        __m512i w0 = _mm512_load_si512(u8), w1 = _mm512_load_si512(u8 + 64);
#pragma clang loop unroll(full)
        for (int m = 0; m < rows; m++) {
          __m512i value = four(row_pointer(&at, x.stride, m, 4 * i));
          dot[m][0] = _mm512_dpbusd_epi32(dot[m][0], w0, value);
          dot[m][1] = _mm512_dpbusd_epi32(dot[m][1], w1, value);
        }
      }
    }
    add_group(dot, (const uint16_t *)tail, &at, x.stride, sums, true, rows);
    row_pointers_advance(&at, (int64_t)sizeof(vlm_i8_tail), rows);
  }
}

#define TILES(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12)
#define DEFINE(R) \
  static __attribute__((noinline)) void thin_##R(tile_rows x, const uint8_t *w, int64_t group, int64_t ahead, float *sums) { \
    thin_group(x, w, group, ahead, sums, R); \
  } \
  static __attribute__((noinline)) void tall_##R(tile_rows x, const tile_weights *w, float *sums) { tall(x, w, sums, R); }
TILES(DEFINE)
#undef DEFINE

static void clear(const linear_block *b) {
  if (!b->accumulate) __builtin_memset(b->sums, 0, (size_t)(b->rows * VLM_PANEL) * sizeof(float));
}

// All rows visit a group while it is in the first cache.
static void thin_block(const vlm_linear_args *a, const linear_block *b) {
  int64_t step = vlm_ceil_div(b->rows, vlm_ceil_div(b->rows, TILE_ROWS)), bytes = (int64_t)vlm_int4_block_bytes(a->group);
  const uint8_t *w = blocks_at(a, b->panel, 0);
  tile_rows first = rows_at(a, b->row, 0);
  clear(b);
  for (int64_t k = 0; k < a->inputs; k += a->group, w += bytes, first.groups += vlm_i8_group_bytes(a->group)) {
    tile_rows x = first;
    for (int64_t t = 0, ahead = PREFETCH; t < b->rows; t += step, x.groups += step * x.stride, ahead = 0)
      switch (vlm_min(step, b->rows - t)) {
#define CASE(R) case R: thin_##R(x, w, a->group, ahead, b->sums + t * VLM_PANEL); break;
        TILES(CASE)
#undef CASE
        default: break;
      }
  }
}

// Splits the nibbles of a run of blocks into u8 [inputs/4][VLM_PANEL][4], each q − zero + VLM_I8_CENTRE.
static void split(const tile_weights *w, uint8_t *y) {
  const __m512i low = _mm512_set1_epi8(15);
  for (int64_t g = 0; g < w->groups; g++) {
    const uint8_t *block = w->blocks + g * w->block_bytes;
    const uint16_t *zeros = (const uint16_t *)(block + w->group * VLM_PANEL / 2) + VLM_PANEL;
    __m512i shift[2];
    for (int n = 0; n < 2; n++) {
      __m512i centred = _mm512_cvtps_epi32(v_sub(v_set1(VLM_I8_CENTRE), v_from_f16(zeros + 16 * n)));
      shift[n] = _mm512_mullo_epi32(centred, _mm512_set1_epi32(0x01010101));
    }
    for (int64_t step = 0; step < w->group; step += 8, block += STEP_BYTES, y += 2 * STEP_BYTES)
      for (int n = 0; n < 2; n++) {
        __m512i v = _mm512_loadu_si512(block + 64 * n), high = _mm512_srli_epi16(v, 4);
        _mm512_store_si512(y + 64 * n, _mm512_add_epi8(_mm512_and_si512(v, low), shift[n]));
        _mm512_store_si512(y + STEP_BYTES + 64 * n, _mm512_add_epi8(_mm512_and_si512(high, low), shift[n]));
      }
  }
}

static void tall_block(const vlm_linear_args *a, const linear_block *b) {
  int64_t bytes = (int64_t)vlm_int4_block_bytes(a->group);
  tile_weights w = {blocks_at(a, b->panel, b->k), (const uint8_t *)b->weights, a->group, b->k_count / a->group, bytes};
  split(&w, (uint8_t *)b->weights);
  clear(b);
  for (int64_t t = 0; t < b->rows; t += TILE_ROWS) {
    tile_rows x = rows_at(a, b->row + t, b->k);
    linear_prefetch(b, w.blocks + a->inputs / a->group * bytes, bytes * w.groups, t, TILE_ROWS);
    switch (vlm_min(TILE_ROWS, b->rows - t)) {
#define CASE(R) case R: tall_##R(x, &w, b->sums + t * VLM_PANEL); break;
      TILES(CASE)
#undef CASE
      default: break;
    }
  }
}

void vlm_linear_int4_int8_12x32_avx512vnni(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  if (a->rows <= THIN_ROWS) linear_blocks(a, begin, end, scratch, thin_block, (linear_cut){1, a->inputs});
  else linear_blocks(a, begin, end, scratch, tall_block, (linear_cut){LINEAR_PANELS, INPUTS});
}
#pragma clang attribute pop
#endif
