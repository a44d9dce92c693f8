// The screen: one row × 32 outputs at a time. Weights lose what they are stored with, so nothing is subtracted from their sums.

static inline v_f32 screen_from_i32(const int32_t *sums, int32_t shift) {
  (void)shift;
  return (v_f32){vcvtq_f32_s32(vld1q_s32(sums)), vcvtq_f32_s32(vld1q_s32(sums + 4))};
}
#include "../vectors/screen_body.inl"

enum { PREFETCH = 2048 };

// One panel for one row.
VLM_INLINE void tile(const vlm_screen_args *a, int64_t panel, int64_t row, const weight_stream *stream, const bool is_far) {
  const int64_t steps = vlm_screen_steps(a->inputs);
  const uint8_t *w = (const uint8_t *)a->weight + panel * vlm_screen_panel_bytes(a->inputs);
  const int8_t *x = (const int8_t *)a->coded + row * vlm_screen_row_stride(a->inputs) + 64;
  int32x4_t high[VECTORS], low[VECTORS];
  for (int v = 0; v < VECTORS; v++) high[v] = low[v] = vdupq_n_s32(0);
  for (int64_t s = 0; s < steps; s++, w += VLM_SCREEN_STEP, x += 8) {
    const int8x16_t digits = vcombine_s8(vld1_s8(x), vdup_n_s8(0));
    prefetch_line(w, stream, is_far);
    prefetch_line(w + 64, stream, is_far);
#pragma clang loop unroll(full)
    for (int v = 0; v < VECTORS; v++) {
      const int8x16_t part = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(w + 16 * v), vdupq_n_u8(VLM_SCREEN_CENTRE)));
      high[v] = add_dots(high[v], part, digits, 0);
      low[v] = add_dots(low[v], part, digits, 1);
    }
  }
  int32_t sums[2][VLM_PANEL];
  for (int v = 0; v < VECTORS; v++) {
    vst1q_s32(sums[0] + LANES * v, high[v]);
    vst1q_s32(sums[1] + LANES * v, low[v]);
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
