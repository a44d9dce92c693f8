#include "../math_scalar.h"

#if VLM_X86_64
#include <immintrin.h>
#define TARGET "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c"
#pragma clang attribute push(__attribute__((target(TARGET))), apply_to = function)
#include "simd_avx512.h"
#include "../vectors/math_body.inl"
#include "../vectors/linear_blocks.inl"
#include "../vectors/row_pointers.inl"
#include "../vectors/linear_int4_int8_blocks.inl"

enum { TILE_ROWS = 12, INPUTS = 512, PREFETCH = 2176 };

static inline __m512i four(const void *q) {
  int32_t v;
  __builtin_memcpy(&v, q, 4);
  return _mm512_set1_epi32(v);
}

// sums += scale · x.scale · (dot − zero · x.sum) for one group, whose ends `at` points to; dots of `centred` weights began at their start.
// Dots are integers, so few rows and many have the same sums.
VLM_INLINE void add_group(__m512i dot[][2], const uint16_t *scales, const row_pointers *at, int64_t stride, float *sums, const bool centred,
                          const int rows) {
#pragma clang loop unroll(full)
  for (int n = 0; n < 2; n++) {
    v_f32 scale = v_from_f16(scales + 16 * n);
    // |x.sum| < 2¹⁵, and the high halves of zero are 0.
    __m512i zero = _mm512_cvtps_epi32(v_from_f16(scales + VLM_PANEL + 16 * n));
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) {
      __m512i whole = dot[m][n];
      if (!centred) whole = _mm512_sub_epi32(whole, _mm512_madd_epi16(zero, four(row_pointer(at, stride, m, offsetof(vlm_i8_tail, sum)))));
      v_f32 x_scale = _mm512_castsi512_ps(four(row_pointer(at, stride, m, offsetof(vlm_i8_tail, scale))));
      v_f32 product = v_mul(_mm512_cvtepi32_ps(whole), x_scale);
      float *sum = sums + m * VLM_PANEL + 16 * n;
      v_store(sum, v_fma(scale, product, v_load(sum)));
    }
  }
}

// What dots over `centred` weights begin with, for the group that `end` ends.
VLM_INLINE __m512i start(const char *end) { return _mm512_set1_epi32(-VLM_I8_CENTRE * vlm_i8_tail_at(end).sum); }

// Codes in the low and in the high halves of 64 bytes as u8.
VLM_INLINE void split64(const uint8_t *codes, __m512i *first, __m512i *second) {
  const __m512i low = _mm512_set1_epi8(15), v = _mm512_loadu_si512(codes);
  *first = _mm512_and_si512(v, low);
  *second = _mm512_and_si512(_mm512_srli_epi16(v, 4), low);
}

// Adds a run of groups straight from their codes.
VLM_INLINE void thin(const tile_run *run, float *sums, const bool is_far, const int rows) {
  row_pointers at = row_pointers_at(run->x, run->x_stride, rows);
  const uint8_t *block = run->w;
  for (int64_t g = 0; g < run->groups; g++, block += vlm_int4_block_bytes(run->group)) {
    const uint8_t *codes = block;
    __m512i dot[12][2];
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) dot[m][0] = dot[m][1] = _mm512_setzero_si512();
    for (int64_t step = 0; step < run->group; step += 32, row_pointers_advance(&at, 32, rows)) {
      const uint8_t *turn = codes;
#pragma clang loop unroll(full)
      for (int i = 0; i < 32; i += 8, codes += STEP_BYTES) {
        __m512i a0, b0, a1, b1;
        split64(codes, &a0, &b0);
        split64(codes + 64, &a1, &b1);
        if (asks_ahead(is_far, rows)) stream_part(turn, i / 8, &run->stream, is_far);
#pragma clang loop unroll(full)
        for (int m = 0; m < rows; m++) {
          __m512i first = four(row_pointer(&at, run->x_stride, m, i)), second = four(row_pointer(&at, run->x_stride, m, i + 4));
          dot[m][0] = _mm512_dpbusd_epi32(dot[m][0], a0, first);
          dot[m][1] = _mm512_dpbusd_epi32(dot[m][1], a1, first);
          dot[m][0] = _mm512_dpbusd_epi32(dot[m][0], b0, second);
          dot[m][1] = _mm512_dpbusd_epi32(dot[m][1], b1, second);
        }
      }
    }
    const uint16_t *scales = block_scales(block, run->group);
    if (asks_ahead(is_far, rows)) stream_ahead(scales, &run->stream, is_far);
    add_group(dot, scales, &at, run->x_stride, sums, false, rows);
    row_pointers_advance(&at, (int64_t)sizeof(vlm_i8_tail), rows);
  }
}

// Adds a run of groups from unpacked codes.
VLM_INLINE void tall(const tile_run *run, float *sums, const int rows) {
  row_pointers at = row_pointers_at(run->x, run->x_stride, rows);
  const uint8_t *block = run->w, *u8 = run->u8;
  for (int64_t g = 0; g < run->groups; g++, block += vlm_int4_block_bytes(run->group)) {
    __m512i dot[12][2];
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) dot[m][0] = dot[m][1] = start((const char *)row_pointer(&at, run->x_stride, m, 0) + run->group);
    row_pointers_prefetch(&at, run->x_stride, 128, rows);
    if (run->group > 64) row_pointers_prefetch(&at, run->x_stride, 192, rows);
    for (int64_t step = 0; step < run->group; step += 16, row_pointers_advance(&at, 16, rows)) {
#pragma clang loop unroll(full)
      for (int i = 0; i < 4; i++, u8 += STEP_BYTES) {
        __m512i w0 = _mm512_load_si512(u8), w1 = _mm512_load_si512(u8 + 64);
#pragma clang loop unroll(full)
        for (int m = 0; m < rows; m++) {
          __m512i value = four(row_pointer(&at, run->x_stride, m, 4 * i));
          dot[m][0] = _mm512_dpbusd_epi32(dot[m][0], w0, value);
          dot[m][1] = _mm512_dpbusd_epi32(dot[m][1], w1, value);
        }
      }
    }
    add_group(dot, block_scales(block, run->group), &at, run->x_stride, sums, true, rows);
    row_pointers_advance(&at, (int64_t)sizeof(vlm_i8_tail), rows);
  }
}

#define TILES(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12)
#include "../vectors/linear_int4_int8_tiles.inl"

// Splits the codes of a run of groups into u8 [inputs/4][VLM_PANEL][4], each code − zero + VLM_I8_CENTRE.
static void split(const tile_run *run, uint8_t *y) {
  const uint8_t *block = run->w;
  for (int64_t g = 0; g < run->groups; g++, block += vlm_int4_block_bytes(run->group)) {
    __m512i shift[2];
    for (int n = 0; n < 2; n++) {
      v_f32 zero = v_from_f16(block_scales(block, run->group) + VLM_PANEL + 16 * n);
      shift[n] = _mm512_mullo_epi32(_mm512_cvtps_epi32(v_sub(v_set1(VLM_I8_CENTRE), zero)), _mm512_set1_epi32(0x01010101));
    }
    for (int64_t step = 0; step < run->group; step += 8, y += 2 * STEP_BYTES)
      for (int n = 0; n < 2; n++) {
        __m512i first, second;
        split64(block + step * (VLM_PANEL / 2) + 64 * n, &first, &second);
        _mm512_store_si512(y + 64 * n, _mm512_add_epi8(first, shift[n]));
        _mm512_store_si512(y + STEP_BYTES + 64 * n, _mm512_add_epi8(second, shift[n]));
      }
  }
}

static void tall_block(const vlm_linear_args *a, const linear_block *b) {
  tile_run run = run_at(a, b->panel, b->k, b->k_count);
  run.u8 = (const uint8_t *)b->weights;
  split(&run, (uint8_t *)b->weights);
  clear_sums(a, b);
  const uint8_t *next = run.w + vlm_panel_bytes(VLM_WEIGHT_INT4, a->inputs, a->group);
  for (int64_t t = 0; t < a->rows; t += TILE_ROWS) {
    run.x = i8_group(a, &run, t, b->k);
    linear_prefetch(a, next, (int64_t)vlm_int4_block_bytes(a->group) * run.groups, t, TILE_ROWS);
    tall_tiles[vlm_min(TILE_ROWS, a->rows - t) - 1](&run, b->sums + t * VLM_PANEL);
  }
}

void vlm_linear_int4_int8_12x32_avx512vnni(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) { linear_int8(a, begin, end, scratch); }
#pragma clang attribute pop
#endif
