#include "../math_scalar.h"

#if VLM_X86_64
#include <immintrin.h>
#define TARGET "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c"
#pragma clang attribute push(__attribute__((target(TARGET))), apply_to = function)
#include "simd_avx512.h"
#include "../vectors/math_body.inl"
#include "../vectors/linear_blocks.inl"
#include "../vectors/row_pointers.inl"
#include "../vectors/linear_f4_int8_blocks.inl"

enum { TILE_ROWS = 12, INPUTS = 1024 };

static inline __m512i four(const void *q) {
  int32_t v;
  __builtin_memcpy(&v, q, 4);
  return _mm512_set1_epi32(v);
}

// The unit's bits of the scales of outputs o ..< o + 16 of a block; see vlm_f4_unit.
VLM_INLINE __m512i block_unit(const uint8_t *scales, const int o, const int group) {
  const __m128i magnitude = _mm_set1_epi8(group == 16 ? 0x7f : (char)0xff);
  __m128i greatest = _mm_setzero_si128();
#pragma clang loop unroll(full)
  for (int g = 0; g < VLM_F4_BLOCK / group; g++)
    greatest = _mm_max_epu8(greatest, _mm_and_si128(magnitude, _mm_loadu_si128((const void *)(scales + g * VLM_PANEL + o))));
  uint8_t bytes[16];
  _mm_storeu_si128((void *)bytes, greatest);
  __m512i power = _mm512_and_si512(_mm512_castps_si512(v_scales_f4(bytes, group == 16)), _mm512_set1_epi32(0x7f800000));
  return _mm512_sub_epi32(_mm512_max_epi32(power, _mm512_set1_epi32(13 << 23)), _mm512_set1_epi32(12 << 23));
}

// Scales as whole numbers in their unit, in the low halves of words.
VLM_INLINE __m512i factor(const uint8_t *scales, __m512i unit, const int group) {
  v_f32 inverse = _mm512_castsi512_ps(_mm512_sub_epi32(_mm512_set1_epi32(254 << 23), unit));
  return _mm512_and_si512(_mm512_cvtps_epi32(v_mul(v_scales_f4(scales, group == 16), inverse)), _mm512_set1_epi32(0xffff));
}

VLM_INLINE void split64(const uint8_t *codes, __m512i *first, __m512i *second) {
  const __m512i low = _mm512_set1_epi8(15), v = _mm512_loadu_si512(codes), twice = _mm512_broadcast_i32x4(_mm_setr_epi8(TWICE_F4));
  *first = _mm512_shuffle_epi8(twice, _mm512_and_si512(v, low));
  *second = _mm512_shuffle_epi8(twice, _mm512_and_si512(_mm512_srli_epi16(v, 4), low));
}

// dot += the products of VLM_F4_DOT inputs, of 16 · vectors outputs.
VLM_INLINE void add_dot(const tile_run *run, const uint8_t *w, const row_pointers *at, __m512i dot[][2], const bool is_unpacked, const int rows,
                        const int vectors) {
#pragma clang loop unroll(full)
  for (int k = 0; k < VLM_F4_DOT; k += 8, w += is_unpacked ? 2 * STEP_BYTES : STEP_BYTES) {
    __m512i first[2], second[2];
    if (!is_unpacked && vectors == 2 && asks_ahead(run->is_far, rows)) stream_ahead(w, &run->stream, run->is_far);
    if (!is_unpacked && vectors == 1) prefetch_line(w, &run->stream, run->is_far);
#pragma clang loop unroll(full)
    for (int n = 0; n < vectors; n++) {
      if (is_unpacked) first[n] = _mm512_load_si512(w + 64 * n), second[n] = _mm512_load_si512(w + STEP_BYTES + 64 * n);
      else split64(w + 64 * n, &first[n], &second[n]);
    }
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) {
      __m512i x = four(row_pointer(at, run->x_stride, m, k)), y = four(row_pointer(at, run->x_stride, m, k + 4));
#pragma clang loop unroll(full)
      for (int n = 0; n < vectors; n++) dot[m][n] = _mm512_dpbusd_epi32(dot[m][n], first[n], x);
#pragma clang loop unroll(full)
      for (int n = 0; n < vectors; n++) dot[m][n] = _mm512_dpbusd_epi32(dot[m][n], second[n], y);
    }
  }
}

// Outputs 16n … 16(n + vectors) − 1.
VLM_INLINE void outputs(const tile_run *run, const int n, const int vectors, float *sums, const bool is_unpacked, const int group, const int rows) {
  row_pointers at = row_pointers_at(run->x, run->x_stride, rows);
  const uint8_t *w = (is_unpacked ? run->w->u8 : run->codes) + 64 * n;
  __m512i unit[2], total[TILE_ROWS][2];
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors && !is_unpacked; v++) unit[v] = block_unit(run->scales, 16 * (n + v), group);
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) total[m][v] = _mm512_setzero_si512();
  for (int64_t g = 0; g < run->dots * VLM_F4_DOT / group; g++) {
    __m512i factors[2];
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) {
      const int64_t at_scale = g * VLM_PANEL + 16 * (n + v);
      factors[v] = is_unpacked ? _mm512_load_si512(run->w->factors + at_scale) : factor(run->scales + at_scale, unit[v], group);
    }
    for (int i = 0; i < group / VLM_F4_DOT; i++, row_pointers_advance(&at, sizeof(vlm_f4_dot), rows)) {
      __m512i dot[TILE_ROWS][2];
#pragma clang loop unroll(full)
      for (int m = 0; m < rows; m++)
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) dot[m][v] = four(row_pointer(&at, run->x_stride, m, offsetof(vlm_f4_dot, start)));
      add_dot(run, w, &at, dot, is_unpacked, rows, vectors);
      w += is_unpacked ? 4 * STEP_BYTES : 2 * STEP_BYTES;
      // The low half of a dot is the sum itself, whatever the high half is.
#pragma clang loop unroll(full)
      for (int m = 0; m < rows; m++)
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) total[m][v] = _mm512_dpwssd_epi32(total[m][v], dot[m][v], factors[v]);
    }
  }
  at = row_pointers_at(run->x, run->x_stride, rows);
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) {
    const int o = 16 * (n + v);
    v_f32 scale = is_unpacked ? v_load(run->w->scale + o) : v_mul(_mm512_castsi512_ps(unit[v]), v_load(run->outputs + o));
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) {
      v_f32 x_scale = _mm512_castsi512_ps(four(row_pointer(&at, run->x_stride, m, offsetof(vlm_f4_row_block, scale))));
      float *sum = sums + m * VLM_PANEL + o;
      v_store(sum, v_add(v_load(sum), v_mul(v_mul(_mm512_cvtepi32_ps(total[m][v]), x_scale), scale)));
    }
  }
}

// Few rows take all outputs of a panel at once, more of them one half after the other, so that codes are split once.
VLM_INLINE void tile(const tile_run *run, float *sums, const bool is_unpacked, const int group, const int rows) {
  const int vectors = rows <= 6 ? 2 : 1;
  if (!is_unpacked && asks_ahead(run->is_far, rows)) stream_ahead(run->scales, &run->stream, run->is_far);
#pragma clang loop unroll(full)
  for (int n = 0; n < 2; n += vectors) outputs(run, n, vectors, sums, is_unpacked, group, rows);
}

static void unpack(const tile_run *run, unpacked *y, int64_t group) {
  for (int n = 0; n < 2; n++) {
    const __m512i unit = group == 16 ? block_unit(run->scales, 16 * n, 16) : block_unit(run->scales, 16 * n, 32);
    v_store(y->scale + 16 * n, v_mul(_mm512_castsi512_ps(unit), v_load(run->outputs + 16 * n)));
    for (int64_t i = 16 * n; i < VLM_F4_BLOCK / group * VLM_PANEL; i += VLM_PANEL)
      _mm512_store_si512(y->factors + i, group == 16 ? factor(run->scales + i, unit, 16) : factor(run->scales + i, unit, 32));
    for (int64_t step = 0; step < 2 * run->dots; step++) {
      __m512i first, second;
      split64(run->codes + step * STEP_BYTES + 64 * n, &first, &second);
      _mm512_store_si512(y->u8 + 2 * step * STEP_BYTES + 64 * n, first);
      _mm512_store_si512(y->u8 + (2 * step + 1) * STEP_BYTES + 64 * n, second);
    }
  }
}

#define TILES(DO, GROUP) \
  DO(GROUP, 1) DO(GROUP, 2) DO(GROUP, 3) DO(GROUP, 4) DO(GROUP, 5) DO(GROUP, 6) DO(GROUP, 7) DO(GROUP, 8) DO(GROUP, 9) DO(GROUP, 10) DO(GROUP, 11) DO(GROUP, 12)
#include "../vectors/linear_f4_int8_tiles.inl"

void vlm_linear_f4_int8_12x32_avx512vnni(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) { linear_f4_int8(a, begin, end, scratch); }
#pragma clang attribute pop
#endif
