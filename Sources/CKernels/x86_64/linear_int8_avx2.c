#include "../math_scalar.h"

#if VLM_X86_64
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "simd_avx2.h"
#include "math_body.inl"
#include "linear_blocks.inl"
#include "row_pointers.inl"

// A tile is TILE_ROWS rows × 8 outputs of a panel's 32. Products of 32 inputs are summed in 16 bits, where 8 sums of two
// products of at most 15 · 128 have room; then in 32 bits.
enum { TILE_ROWS = 6, THIN_ROWS = 24, INPUTS = 512, PREFETCH = 2176, STEP_BYTES = VLM_PANEL * 4, CHUNK = 32 };

// One group of a panel for the rows of a tile.
typedef struct {
  const char *x;         // the group of the first row
  int64_t x_stride;
  const uint8_t *w;      // an int4 block, or its nibbles as u8 [group/4][VLM_PANEL][4]
  const uint16_t *tail;  // the block's scales and zeros
  int64_t group;
  int64_t ahead;         // bytes from a weight to the one to prefetch meanwhile; 0: none
} tile_group;

static inline __m256i four(const void *q) {
  int32_t v;
  __builtin_memcpy(&v, q, 4);
  return _mm256_set1_epi32(v);
}

// sums += scale · x.scale · (dot − zero · x.sum) of outputs 8n...8n + 7, whose dots are integers.
VLM_INLINE void add_group(const __m256i *dot, const uint16_t *tail, const row_pointers *at, int64_t stride, const int n, float *sums,
                          const int rows) {
  v_f32 scale = v_from_f16(tail + 8 * n);
  __m256i zero = _mm256_cvtps_epi32(v_from_f16(tail + VLM_PANEL + 8 * n));
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++) {
    // |x.sum| < 2¹⁵, and the high halves of zero are 0.
    __m256i shift = _mm256_madd_epi16(zero, four(row_pointer(at, stride, m, offsetof(vlm_i8_tail, sum))));
    v_f32 x_scale = _mm256_castsi256_ps(four(row_pointer(at, stride, m, offsetof(vlm_i8_tail, scale))));
    v_f32 product = v_mul(_mm256_cvtepi32_ps(_mm256_sub_epi32(dot[m], shift)), x_scale);
    float *sum = sums + m * VLM_PANEL + 8 * n;
    v_store(sum, v_fma(scale, product, v_load(sum)));
  }
}

// Outputs 8n...8n + 7; `split` says that the weights are u8 already.
VLM_INLINE void tile(const tile_group *t, const int n, float *sums, const bool split, const int rows) {
  const __m256i low = _mm256_set1_epi8(15), one = _mm256_set1_epi16(1);
  const int step_bytes = split ? 2 * STEP_BYTES : STEP_BYTES;
  row_pointers at = row_pointers_at(t->x, t->x_stride, rows);
  const uint8_t *w = t->w + 32 * n;
  __m256i dot[TILE_ROWS];
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++) dot[m] = _mm256_setzero_si256();
  for (int64_t k = 0; k < t->group; k += CHUNK, row_pointers_advance(&at, CHUNK, rows)) {
    __m256i sum[TILE_ROWS];
    if (!split) {
      _mm_prefetch((const char *)w + t->ahead + 96 * n, _MM_HINT_T0);
      _mm_prefetch((const char *)w + t->ahead + 96 * n + 64, _MM_HINT_T0);
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < CHUNK / 8; i++, w += step_bytes) {
      __m256i v = _mm256_loadu_si256((const void *)w), a, b;
      if (split) {
        a = v;
        b = _mm256_loadu_si256((const void *)(w + STEP_BYTES));
      } else {
        a = _mm256_and_si256(v, low);
        b = _mm256_and_si256(_mm256_srli_epi16(v, 4), low);
      }
#pragma clang loop unroll(full)
      for (int m = 0; m < rows; m++) {
        __m256i first = _mm256_maddubs_epi16(a, four(row_pointer(&at, t->x_stride, m, 8 * i)));
        __m256i second = _mm256_maddubs_epi16(b, four(row_pointer(&at, t->x_stride, m, 8 * i + 4)));
        sum[m] = _mm256_add_epi16(i == 0 ? first : _mm256_add_epi16(sum[m], first), second);
      }
    }
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) dot[m] = _mm256_add_epi32(dot[m], _mm256_madd_epi16(sum[m], one));
  }
  add_group(dot, t->tail, &at, t->x_stride, n, sums, rows);
}

#define TILES(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6)
#define DEFINE(R) \
  static __attribute__((noinline)) void thin_##R(const tile_group *t, float *sums) { for (int n = 0; n < 4; n++) tile(t, n, sums, false, R); } \
  static __attribute__((noinline)) void tall_##R(const tile_group *t, float *sums) { for (int n = 0; n < 4; n++) tile(t, n, sums, true, R); }
TILES(DEFINE)
#undef DEFINE

typedef void tile_fn(const tile_group *t, float *sums);
#define NAME(R) thin_##R,
static tile_fn *const thin[] = {TILES(NAME)};
#undef NAME
#define NAME(R) tall_##R,
static tile_fn *const tall[] = {TILES(NAME)};
#undef NAME

static void clear(const linear_block *b) {
  if (!b->accumulate) __builtin_memset(b->sums, 0, (size_t)(b->rows * VLM_PANEL) * sizeof(float));
}

// All rows visit a group while it is in the first cache.
static void thin_block(const vlm_linear_args *a, const linear_block *b) {
  const int64_t x_stride = (int64_t)vlm_row_bytes(VLM_ROWS_INT8, a->inputs, a->group), bytes = (int64_t)vlm_int4_block_bytes(a->group);
  const int64_t groups = a->inputs / a->group, rows = vlm_ceil_div(b->rows, vlm_ceil_div(b->rows, TILE_ROWS));
  const uint8_t *w = (const uint8_t *)a->weight + b->panel * groups * bytes;
  const char *x = (const char *)a->packed + b->row * x_stride;
  clear(b);
  for (int64_t g = 0; g < groups; g++, w += bytes, x += vlm_i8_group_bytes(a->group)) {
    tile_group t = {.x_stride = x_stride, .w = w, .tail = (const uint16_t *)(w + a->group * VLM_PANEL / 2), .group = a->group, .ahead = PREFETCH};
    for (int64_t m = 0; m < b->rows; m += rows, t.ahead = 0) {
      t.x = x + m * x_stride;
      thin[vlm_min(rows, b->rows - m) - 1](&t, b->sums + m * VLM_PANEL);
    }
  }
}

// Splits the nibbles of a block.
static void split(const uint8_t *block, int64_t group, uint8_t *y) {
  const __m256i low = _mm256_set1_epi8(15);
  for (int64_t k = 0; k < group; k += 8, block += STEP_BYTES, y += 2 * STEP_BYTES)
    for (int n = 0; n < 4; n++) {
      __m256i v = _mm256_loadu_si256((const void *)(block + 32 * n));
      _mm256_store_si256((void *)(y + 32 * n), _mm256_and_si256(v, low));
      _mm256_store_si256((void *)(y + STEP_BYTES + 32 * n), _mm256_and_si256(_mm256_srli_epi16(v, 4), low));
    }
}

// Groups outside, rows inside: a split group stays in the first cache.
static void tall_block(const vlm_linear_args *a, const linear_block *b) {
  const int64_t x_stride = (int64_t)vlm_row_bytes(VLM_ROWS_INT8, a->inputs, a->group), bytes = (int64_t)vlm_int4_block_bytes(a->group);
  clear(b);
  for (int64_t g = b->k / a->group; g < (b->k + b->k_count) / a->group; g++) {
    const uint8_t *w = (const uint8_t *)a->weight + (b->panel * (a->inputs / a->group) + g) * bytes;
    split(w, a->group, (uint8_t *)b->weights);
    tile_group t = {.x_stride = x_stride, .w = (const uint8_t *)b->weights, .tail = (const uint16_t *)(w + a->group * VLM_PANEL / 2), .group = a->group};
    for (int64_t m = 0; m < b->rows; m += TILE_ROWS) {
      linear_prefetch(b, w + bytes, bytes, m, TILE_ROWS);
      t.x = (const char *)a->packed + (b->row + m) * x_stride + g * vlm_i8_group_bytes(a->group);
      tall[vlm_min(TILE_ROWS, b->rows - m) - 1](&t, b->sums + m * VLM_PANEL);
    }
  }
}

void vlm_linear_int4_int8_6x8_avx2(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  if (a->rows <= THIN_ROWS) linear_blocks(a, begin, end, scratch, thin_block, (linear_cut){1, a->inputs});
  else linear_blocks(a, begin, end, scratch, tall_block, (linear_cut){LINEAR_PANELS, INPUTS});
}
#pragma clang attribute pop
#endif
