#include "screen.h"

// Scores and bounds of one row's outputs in a panel.
static void finish(const vlm_screen_args *a, int64_t row, int64_t panel, const vlm_screen_head *x, const vlm_screen_tail *w,
                   const int32_t *high, const int32_t *low) {
  int64_t first = panel * VLM_PANEL, count = vlm_min(VLM_PANEL, a->outputs - first), at = row * vlm_panels(a->outputs) + panel;
  float lower = -__builtin_inff(), upper = -__builtin_inff();
  for (int64_t o = 0; o < count; o++) {
    float whole = (float)(high[o] - VLM_SCREEN_CENTRE * x->high_sum), rest = (float)(low[o] - VLM_SCREEN_CENTRE * x->low_sum);
    float score = (whole * VLM_SCREEN_DIGIT + rest) * (x->scale * w->scale[o]);
    float error = w->error[o] * x->error_of_weight + (w->norm[o] * x->norm_of_weight + x->floor);
    a->y[row * a->y_stride + first + o] = score;
    if (score - error > lower) lower = score - error;
    if (score + error > upper) upper = score + error;
  }
  a->lower[at] = lower;
  a->upper[at] = upper;
}

void vlm_screen_int8_generic(const vlm_screen_args *a, int64_t begin, int64_t end) {
  int64_t steps = vlm_screen_steps(a->inputs), stride = vlm_screen_row_stride(a->inputs);
  for (int64_t p = begin; p < end; p++) {
    const uint8_t *w = (const uint8_t *)a->weight + p * vlm_screen_panel_bytes(a->inputs);
    for (int64_t t = 0; t < a->rows; t++) {
      const char *coded = (const char *)a->coded + t * stride;
      const int8_t *x = (const int8_t *)coded + 64;
      int32_t high[VLM_PANEL] = {0}, low[VLM_PANEL] = {0};
      for (int64_t s = 0; s < steps; s++)
        for (int64_t o = 0; o < VLM_PANEL; o++)
          for (int64_t j = 0; j < 4; j++) {
            int32_t q = w[s * VLM_SCREEN_STEP + o * 4 + j];
            high[o] += q * x[s * 8 + j];
            low[o] += q * x[s * 8 + 4 + j];
          }
      finish(a, t, p, (const vlm_screen_head *)coded, (const vlm_screen_tail *)(w + steps * VLM_SCREEN_STEP), high, low);
    }
  }
}
