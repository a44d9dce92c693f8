// The screen in registers of 256 bits. The instruction set gives `add(sum, w, x)`: the sum plus the products of 8 outputs with four inputs.

static inline v_f32 screen_from_i32(const int32_t *sums, int32_t shift) {
  return _mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_loadu_si256((const void *)sums), _mm256_set1_epi32(shift)));
}
#include "../vectors/screen_body.inl"

enum { VECTORS = VLM_PANEL / 8, PREFETCH = 2048 };

static inline __m256i four(const int8_t *x) {
  int32_t v;
  __builtin_memcpy(&v, x, 4);
  return _mm256_set1_epi32(v);
}

static inline __m256i add(__m256i sum, __m256i w, __m256i x);

// One panel for one row.
VLM_INLINE void tile(const vlm_screen_args *a, int64_t panel, int64_t row, const weight_stream *stream, const bool is_far) {
  int64_t steps = vlm_screen_steps(a->inputs);
  const uint8_t *w = (const uint8_t *)a->weight + panel * vlm_screen_panel_bytes(a->inputs);
  const int8_t *x = (const int8_t *)a->coded + row * vlm_screen_row_stride(a->inputs) + 64;
  __m256i high[VECTORS], low[VECTORS];
  for (int n = 0; n < VECTORS; n++) high[n] = low[n] = _mm256_setzero_si256();
  for (int64_t s = 0; s < steps; s++, w += VLM_SCREEN_STEP, x += 8) {
    __m256i first = four(x), second = four(x + 4);
    stream_ahead(w, stream, is_far);
#pragma clang loop unroll(full)
    for (int n = 0; n < VECTORS; n++) {
      __m256i part = _mm256_load_si256((const void *)(w + 32 * n));
      high[n] = add(high[n], part, first);
      low[n] = add(low[n], part, second);
    }
  }
  int32_t sums[2][VLM_PANEL];
  for (int n = 0; n < VECTORS; n++) {
    _mm256_storeu_si256((void *)(sums[0] + 8 * n), high[n]);
    _mm256_storeu_si256((void *)(sums[1] + 8 * n), low[n]);
  }
  screen_finish(a, row, panel, w, sums[0], sums[1]);
}

static void screen(const vlm_screen_args *a, int64_t begin, int64_t end) {
  const weight_stream stream = screen_stream(a, begin, end, PREFETCH);
  for (int64_t panel = begin; panel < end; panel++)
    for (int64_t row = 0; row < a->rows; row++) {
      const weight_stream *asked = row == 0 ? &stream : &no_stream;
      if (a->is_far) tile(a, panel, row, asked, true);
      else tile(a, panel, row, asked, false);
    }
}
