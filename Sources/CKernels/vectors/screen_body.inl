// What the versions of screening share, over the vectors of an instruction set and its `screen_from_i32(sums, shift)`: sums − shift in f32.

#include "prefetch.inl"

// The weights of panels [begin, end), which begin to come.
static inline weight_stream screen_stream(const vlm_screen_args *a, int64_t begin, int64_t end, int64_t ahead) {
  const int64_t bytes = vlm_screen_panel_bytes(a->inputs);
  const weight_stream stream = {(const char *)a->weight + begin * bytes, (const char *)a->weight + end * bytes, ahead};
  if (a->is_far) stream_begin(&stream);
  return stream;
}

// Scores and bounds of one row's outputs in a panel from the sums of both digits.
static inline void screen_finish(const vlm_screen_args *a, int64_t row, int64_t panel, const uint8_t *tail, const int32_t *high,
                                 const int32_t *low) {
  const vlm_screen_head *x = (const vlm_screen_head *)((const char *)a->coded + row * vlm_screen_row_stride(a->inputs));
  const vlm_screen_tail *w = (const vlm_screen_tail *)tail;
  v_f32 nothing = v_set1(-__builtin_inff()), lower = nothing, upper = nothing;
  for (int n = 0; n < VLM_PANEL; n += V_WIDTH) {
    int64_t column = panel * VLM_PANEL + n;
    v_mask m = v_first(a->outputs - column);
    v_f32 whole = screen_from_i32(high + n, VLM_SCREEN_CENTRE * x->high_sum), rest = screen_from_i32(low + n, VLM_SCREEN_CENTRE * x->low_sum);
    v_f32 score = v_mul(v_fma(whole, v_set1(VLM_SCREEN_DIGIT), rest), v_mul(v_set1(x->scale), v_load(w->scale + n)));
    v_f32 error = v_fma(v_load(w->norm + n), v_set1(x->norm_of_weight), v_set1(x->floor));
    error = v_fma(v_load(w->error + n), v_set1(x->error_of_weight), error);
    v_store_part(a->y + row * a->y_stride + column, m, score);
    lower = v_max(lower, v_select(m, v_sub(score, error), nothing));
    upper = v_max(upper, v_select(m, v_add(score, error), nothing));
  }
  int64_t at = row * vlm_panels(a->outputs) + panel;
  a->lower[at] = v_most(lower);
  a->upper[at] = v_most(upper);
}
