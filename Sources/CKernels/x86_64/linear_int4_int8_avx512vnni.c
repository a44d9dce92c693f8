#include "../math_scalar.h"

#if VLM_X86_64
#include <immintrin.h>
#define TARGET "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c"
#pragma clang attribute push(__attribute__((target(TARGET))), apply_to = function)
#include "simd_avx512.h"
#include "math_body.inl"
#include "linear_blocks.inl"
#include "row_pointers.inl"
#include "linear_int8_blocks.inl"

enum { TILE_ROWS = 12, THIN_ROWS = 24, INPUTS = 1024, PREFETCH = 2176 };

static inline __m512i four(const void *q) {
  int32_t v;
  __builtin_memcpy(&v, q, 4);
  return _mm512_set1_epi32(v);
}

// sums += scale · x.scale · (dot − zero · x.sum) for one group, whose ends `at` points to; the zero of `centred` weights is
// VLM_I8_CENTRE. Dots are integers, so few rows and many have the same sums.
VLM_INLINE void add_group(__m512i dot[][2], const code_groups *w, const row_pointers *at, int64_t stride, float *sums, const bool centred,
                          const code_kind kind, const int rows) {
#pragma clang loop unroll(full)
  for (int n = 0; n < 2; n++) {
    v_f32 scale = group_scales(w, w->scales, 16 * n, kind);
    // |x.sum| < 2¹⁵, and the high halves of zero are 0.
    __m512i zero = centred ? _mm512_setzero_si512() : _mm512_cvtps_epi32(v_from_f16((const uint16_t *)w->scales + VLM_PANEL + 16 * n));
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

// Codes in the low and in the high halves of 64 bytes as u8: int4 as they are, e2m1 twice and centred.
VLM_INLINE void split64(const uint8_t *codes, const code_kind kind, __m512i *first, __m512i *second) {
  const __m512i low = _mm512_set1_epi8(15), v = _mm512_loadu_si512(codes);
  *first = _mm512_and_si512(v, low);
  *second = _mm512_and_si512(_mm512_srli_epi16(v, 4), low);
  if (kind == INT4) return;
  const __m512i twice = _mm512_broadcast_i32x4(_mm_setr_epi8(TWICE_F4));
  *first = _mm512_shuffle_epi8(twice, *first);
  *second = _mm512_shuffle_epi8(twice, *second);
}

// Adds a run of groups straight from their codes.
VLM_INLINE void thin(const tile_run *run, float *sums, const code_kind kind, const int rows) {
  code_groups w = run->w;
  row_pointers at = row_pointers_at(run->x, run->x_stride, rows);
  for (int64_t g = 0; g < run->groups; next_group(&w, g++, kind)) {
    const uint8_t *codes = w.codes;
    __m512i dot[12][2];
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) dot[m][0] = dot[m][1] = _mm512_setzero_si512();
#pragma clang loop unroll_count(4)
    for (int64_t step = 0; step < w.group; step += 8, codes += STEP_BYTES, row_pointers_advance(&at, 8, rows)) {
      __m512i a0, b0, a1, b1;
      split64(codes, kind, &a0, &b0);
      split64(codes + 64, kind, &a1, &b1);
      _mm_prefetch((const char *)codes + run->ahead, _MM_HINT_T0);
      _mm_prefetch((const char *)codes + run->ahead + 64, _MM_HINT_T0);
#pragma clang loop unroll(full)
      for (int m = 0; m < rows; m++) {
        __m512i first = four(row_pointer(&at, run->x_stride, m, 0)), second = four(row_pointer(&at, run->x_stride, m, 4));
        dot[m][0] = _mm512_dpbusd_epi32(dot[m][0], a0, first);
        dot[m][1] = _mm512_dpbusd_epi32(dot[m][1], a1, first);
        dot[m][0] = _mm512_dpbusd_epi32(dot[m][0], b0, second);
        dot[m][1] = _mm512_dpbusd_epi32(dot[m][1], b1, second);
      }
    }
    _mm_prefetch((const char *)w.scales + run->ahead, _MM_HINT_T0);
    if (kind == INT4) _mm_prefetch((const char *)w.scales + run->ahead + 64, _MM_HINT_T0);
    add_group(dot, &w, &at, run->x_stride, sums, kind != INT4, kind, rows);
    row_pointers_advance(&at, (int64_t)sizeof(vlm_i8_tail), rows);
  }
}

// Adds a run of groups from unpacked codes.
VLM_INLINE void tall(const tile_run *run, float *sums, const code_kind kind, const int rows) {
  code_groups w = run->w;
  row_pointers at = row_pointers_at(run->x, run->x_stride, rows);
  const uint8_t *u8 = run->u8;
  for (int64_t g = 0; g < run->groups; next_group(&w, g++, kind)) {
    __m512i dot[12][2];
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) dot[m][0] = dot[m][1] = _mm512_setzero_si512();
    row_pointers_prefetch(&at, run->x_stride, 128, rows);
    if (w.group > 64) row_pointers_prefetch(&at, run->x_stride, 192, rows);
    for (int64_t step = 0; step < w.group; step += 16, row_pointers_advance(&at, 16, rows)) {
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
    add_group(dot, &w, &at, run->x_stride, sums, true, kind, rows);
    row_pointers_advance(&at, (int64_t)sizeof(vlm_i8_tail), rows);
  }
}

#define TILES(DO, KIND) DO(KIND, 1) DO(KIND, 2) DO(KIND, 3) DO(KIND, 4) DO(KIND, 5) DO(KIND, 6) DO(KIND, 7) DO(KIND, 8) DO(KIND, 9) DO(KIND, 10) DO(KIND, 11) DO(KIND, 12)
#include "linear_int8_tiles.inl"

// Splits the codes of a run of groups into u8 [inputs/4][VLM_PANEL][4], each code − zero + VLM_I8_CENTRE.
static void split(const tile_run *run, uint8_t *y, const code_kind kind) {
  code_groups w = run->w;
  for (int64_t g = 0; g < run->groups; next_group(&w, g++, kind)) {
    __m512i shift[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    for (int n = 0; n < 2 && kind == INT4; n++) {
      __m512i centred = _mm512_cvtps_epi32(v_sub(v_set1(VLM_I8_CENTRE), v_from_f16((const uint16_t *)w.scales + VLM_PANEL + 16 * n)));
      shift[n] = _mm512_mullo_epi32(centred, _mm512_set1_epi32(0x01010101));
    }
    for (int64_t step = 0; step < w.group; step += 8, y += 2 * STEP_BYTES)
      for (int n = 0; n < 2; n++) {
        __m512i first, second;
        split64(w.codes + step * (VLM_PANEL / 2) + 64 * n, kind, &first, &second);
        _mm512_store_si512(y + 64 * n, _mm512_add_epi8(first, shift[n]));
        _mm512_store_si512(y + STEP_BYTES + 64 * n, _mm512_add_epi8(second, shift[n]));
      }
  }
}

static void tall_block(const vlm_linear_args *a, const linear_block *b) {
  const code_kind kind = kind_of(a);
  tile_run run = {.x_stride = i8_stride(a), .w = groups_at(a, b->panel, b->k), .u8 = (const uint8_t *)b->weights, .groups = b->k_count / a->group};
  split(&run, (uint8_t *)b->weights, kind);
  clear_sums(b);
  const uint8_t *next = run.w.codes + vlm_panel_bytes(vlm_linear_format(a->kind), a->inputs, a->group);
  for (int64_t t = 0; t < b->rows; t += TILE_ROWS) {
    run.x = i8_rows(a, b->row + t, b->k);
    linear_prefetch(b, next, run.w.code_step * run.groups, t, TILE_ROWS);
    tall_tiles[kind][vlm_min(TILE_ROWS, b->rows - t) - 1](&run, b->sums + t * VLM_PANEL);
  }
}

void vlm_linear_int4_int8_12x32_avx512vnni(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) { linear_int8(a, begin, end, scratch); }
void vlm_linear_f4_int8_12x32_avx512vnni(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) { linear_int8(a, begin, end, scratch); }
#pragma clang attribute pop
#endif
