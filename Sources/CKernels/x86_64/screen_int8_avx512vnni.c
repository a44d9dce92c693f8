#include "../screen.h"

#if VLM_X86_64
#include <immintrin.h>
#define TARGET "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c"
#pragma clang attribute push(__attribute__((target(TARGET))), apply_to = function)
#include "simd_avx512.h"

static inline v_f32 screen_from_i32(const int32_t *sums, int32_t shift) {
  return _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_loadu_si512(sums), _mm512_set1_epi32(shift)));
}
#include "../vectors/screen_body.inl"

// Rows whose sums are in registers, and how far ahead of what is read: panels lie one behind another and are read in one stream.
enum { TILE_ROWS = 6, PREFETCH = 2048 };

static inline __m512i four(const int8_t *x) {
  int32_t v;
  __builtin_memcpy(&v, x, 4);
  return _mm512_set1_epi32(v);
}

// The lines of a half of a panel; where memory is far, in the order of a window: as many places take turns as it has pages.
VLM_INLINE const char *half_place(const char *half, int64_t line, int64_t lines, const bool is_far) {
  if (!is_far) return half + 64 * line;
  const int64_t place = line % FAR_PAGES * vlm_ceil_div(lines, FAR_PAGES) + line / FAR_PAGES;
  return half + 64 * vlm_min(place, lines - 1);
}

// One panel for the rows from `row` on; meanwhile as many lines at `next` are prefetched as there are steps. Without it what comes further on.
VLM_INLINE void tile(const vlm_screen_args *a, int64_t panel, int64_t row, const char *next, const weight_stream *stream, const bool is_far,
                     const int rows) {
  int64_t steps = vlm_screen_steps(a->inputs), stride = vlm_screen_row_stride(a->inputs);
  const uint8_t *w = (const uint8_t *)a->weight + panel * vlm_screen_panel_bytes(a->inputs);
  const int8_t *x = (const int8_t *)a->coded + row * stride + 64;
  __m512i high[TILE_ROWS][2], low[TILE_ROWS][2];
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++) high[m][0] = high[m][1] = low[m][0] = low[m][1] = _mm512_setzero_si512();
  for (int64_t s = 0; s < steps; s++, w += VLM_SCREEN_STEP, x += 8) {
    __m512i w0 = _mm512_load_si512(w), w1 = _mm512_load_si512(w + 64);
    if (next) _mm_prefetch(half_place(next, s, steps, is_far), _MM_HINT_T1);
    else if (asks_ahead(is_far, rows)) stream_ahead(w, stream, is_far);
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) {
      __m512i first = four(x + m * stride), second = four(x + m * stride + 4);
      high[m][0] = _mm512_dpbusd_epi32(high[m][0], w0, first);
      high[m][1] = _mm512_dpbusd_epi32(high[m][1], w1, first);
      low[m][0] = _mm512_dpbusd_epi32(low[m][0], w0, second);
      low[m][1] = _mm512_dpbusd_epi32(low[m][1], w1, second);
    }
  }
  for (int m = 0; m < rows; m++) {
    int32_t sums[2][VLM_PANEL];
    for (int n = 0; n < 2; n++) {
      _mm512_storeu_si512(sums[0] + 16 * n, high[m][n]);
      _mm512_storeu_si512(sums[1] + 16 * n, low[m][n]);
    }
    screen_finish(a, row + m, panel, w, sums[0], sums[1]);
  }
}

typedef void tile_fn(const vlm_screen_args *a, int64_t panel, int64_t row, const char *next, const weight_stream *stream);
#define TILES(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6)
#define DEFINE(R) \
  static void near_##R(const vlm_screen_args *a, int64_t panel, int64_t row, const char *next, const weight_stream *stream) { \
    tile(a, panel, row, next, stream, false, R); \
  } \
  static void far_##R(const vlm_screen_args *a, int64_t panel, int64_t row, const char *next, const weight_stream *stream) { \
    tile(a, panel, row, next, stream, true, R); \
  }
TILES(DEFINE)
#undef DEFINE
#define NEAR(R) near_##R,
#define FAR(R) far_##R,
static tile_fn *const tiles[][TILE_ROWS] = {{TILES(NEAR)}, {TILES(FAR)}};
#undef NEAR
#undef FAR

// Where rows take several passes over a panel, the first two prefetch a half of the next one each, so that memory does not rest in the second.
void vlm_screen_int8_avx512vnni(const vlm_screen_args *a, int64_t begin, int64_t end) {
  int64_t passes = vlm_ceil_div(a->rows, TILE_ROWS), rows = vlm_ceil_div(a->rows, passes);
  const int64_t bytes = vlm_screen_panel_bytes(a->inputs), half = vlm_screen_steps(a->inputs) * VLM_SCREEN_STEP / 2;
  const weight_stream stream = screen_stream(a, begin, end, PREFETCH);
  for (int64_t panel = begin; panel < end; panel++)
    for (int64_t pass = 0; pass < passes; pass++) {
      bool prefetches = passes > 1 && pass < 2 && panel + 1 < end;
      const char *next = prefetches ? (const char *)a->weight + (panel + 1) * bytes + pass * half : NULL;
      tiles[a->is_far][vlm_min(rows, a->rows - pass * rows) - 1](a, panel, pass * rows, next, passes == 1 ? &stream : &no_stream);
    }
}
#pragma clang attribute pop
#endif
