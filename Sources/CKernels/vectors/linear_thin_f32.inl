// Few rows in f32 arithmetic, straight from packed weights: tiles of GEMM_ROWS rows × 2 vectors, as in gemm_body.inl.

#include "../vectors/linear_thin.inl"

enum { THIN_OUTPUTS = 2 * V_WIDTH };

VLM_INLINE void thin_load(const float *sums, v_f32 sum[][2], const int rows) {
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++)
#pragma clang loop unroll(full)
    for (int n = 0; n < 2; n++) sum[m][n] = v_load(sums + m * VLM_PANEL + n * V_WIDTH);
}

VLM_INLINE void thin_store(float *sums, v_f32 sum[][2], const int rows) {
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++)
#pragma clang loop unroll(full)
    for (int n = 0; n < 2; n++) v_store(sums + m * VLM_PANEL + n * V_WIDTH, sum[m][n]);
}

// Adds a run of pairs of inputs of bf16 or f32 weights to THIN_OUTPUTS sums of each row, in the order of the inputs.
VLM_INLINE void thin_pairs(const thin_piece *p, const int first, float *sums, const bool bf16, const bool is_far,
                           const int rows) {
  v_f32 sum[GEMM_ROWS][2];
  thin_load(sums, sum, rows);
  row_pointers x = row_pointers_at(p->x, p->x_stride, rows);
  const int words = bf16 ? VLM_PANEL : 2 * VLM_PANEL;  // 32-bit words of a pair
  const uint32_t *w = (const uint32_t *)p->weights + first;
  for (int64_t i = 0; i < p->units; i++, w += words, row_pointers_advance(&x, 8, rows)) {
    v_f32 even[2], odd[2];
#pragma clang loop unroll(full)
    for (int n = 0; n < 2; n++) {
      if (bf16) {
        v_pair_bf16(w + n * V_WIDTH, &even[n], &odd[n]);
      } else {
        even[n] = v_load((const float *)w + n * V_WIDTH);
        odd[n] = v_load((const float *)w + VLM_PANEL + n * V_WIDTH);
      }
    }
#pragma clang loop unroll(full)
    for (int line = 0; line < THIN_OUTPUTS; line += 16) {
      prefetch_line(w + line, &p->stream, is_far);
      if (!bf16) prefetch_line(w + VLM_PANEL + line, &p->stream, is_far);
    }
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) {
      v_f32 x_even = v_set1(*(const float *)row_pointer(&x, p->x_stride, m, 0)), x_odd = v_set1(*(const float *)row_pointer(&x, p->x_stride, m, 4));
#pragma clang loop unroll(full)
      for (int n = 0; n < 2; n++) sum[m][n] = v_fma(x_odd, odd[n], v_fma(x_even, even[n], sum[m][n]));
    }
  }
  thin_store(sums, sum, rows);
}

// Adds a run of int4 groups; weights become (q − zero) · scale as they do for many rows.
VLM_INLINE void thin_groups(const thin_piece *p, const int first, float *sums, const int rows) {
  v_f32 sum[GEMM_ROWS][2];
  thin_load(sums, sum, rows);
  row_pointers x = row_pointers_at(p->x, p->x_stride, rows);
  const uint8_t *w = (const uint8_t *)p->weights + first * 4;
  for (int64_t unit = 0; unit < p->units; unit++) {
    const uint16_t *tail = (const uint16_t *)(w - first * 4 + p->group * VLM_PANEL / 2) + first;
    v_f32 scale[2], zero[2];
#pragma clang loop unroll(full)
    for (int n = 0; n < 2; n++) {
      scale[n] = v_from_f16(tail + n * V_WIDTH);
      zero[n] = v_from_f16(tail + VLM_PANEL + n * V_WIDTH);
    }
    for (int64_t step = 0; step < p->group; step += 8, w += VLM_PANEL * 4, row_pointers_advance(&x, 32, rows)) {
#pragma clang loop unroll(full)
      for (int line = 0; line < THIN_OUTPUTS; line += 16) __builtin_prefetch((const char *)(w + 4 * line) + p->stream.ahead);
#pragma clang loop unroll(full)
      for (int j = 0; j < 8; j++) {
        v_f32 weight[2];
#pragma clang loop unroll(full)
        for (int n = 0; n < 2; n++) weight[n] = v_mul(v_sub(v_nibbles(w + n * 4 * V_WIDTH, j), zero[n]), scale[n]);
#pragma clang loop unroll(full)
        for (int m = 0; m < rows; m++) {
          v_f32 value = v_set1(*(const float *)row_pointer(&x, p->x_stride, m, 4 * j));
#pragma clang loop unroll(full)
          for (int n = 0; n < 2; n++) sum[m][n] = v_fma(value, weight[n], sum[m][n]);
        }
      }
    }
    w += VLM_PANEL * 4;
  }
  thin_store(sums, sum, rows);
}

#define THIN_DEFINE_PAIRS(R, NAME, BF16, IS_FAR) \
  static __attribute__((noinline)) void NAME##_##R(const thin_piece *p, float *sums) { \
    for (int n = 0; n < VLM_PANEL; n += THIN_OUTPUTS) thin_pairs(p, n, sums + n, BF16, IS_FAR, R); \
  }
#define THIN_DEFINE(R) \
  THIN_DEFINE_PAIRS(R, bf16_near, true, false) \
  THIN_DEFINE_PAIRS(R, bf16_far, true, true) \
  THIN_DEFINE_PAIRS(R, f32_near, false, false) \
  THIN_DEFINE_PAIRS(R, f32_far, false, true) \
  static __attribute__((noinline)) void thin_int4_##R(const thin_piece *p, float *sums) { \
    for (int n = 0; n < VLM_PANEL; n += THIN_OUTPUTS) thin_groups(p, n, sums + n, R); \
  }
GEMM_CASES(THIN_DEFINE)
#undef THIN_DEFINE

#undef THIN_DEFINE_PAIRS

#define BF16_NEAR(R) bf16_near_##R,
#define BF16_FAR(R) bf16_far_##R,
#define F32_NEAR(R) f32_near_##R,
#define F32_FAR(R) f32_far_##R,
#define THIN_INT4(R) thin_int4_##R,
static thin_run_fn *const bf16_runs[][GEMM_ROWS] = {{GEMM_CASES(BF16_NEAR)}, {GEMM_CASES(BF16_FAR)}};
static thin_run_fn *const f32_runs[][GEMM_ROWS] = {{GEMM_CASES(F32_NEAR)}, {GEMM_CASES(F32_FAR)}};
static thin_run_fn *const int4_runs[] = {GEMM_CASES(THIN_INT4)};
#undef BF16_NEAR
#undef BF16_FAR
#undef F32_NEAR
#undef F32_FAR
#undef THIN_INT4

static void thin_block_int4(const vlm_linear_args *a, const linear_block *b) {
  const int64_t groups = a->inputs / a->group, bytes = (int64_t)vlm_int4_block_bytes(a->group);
  thin_layer layer = {.x = a->x, .x_stride = a->x_stride * 4, .x_unit = a->group * 4, .units = groups,
                      .weights = (const uint8_t *)a->weight + b->panel * groups * bytes, .unit_bytes = bytes, .group = a->group,
                      .pass = GEMM_ROWS};
  thin_panel(a, &layer, b, int4_runs);
}

// The last input where there is an odd number of them.
static void thin_last(const vlm_linear_args *a, const linear_block *b, const uint32_t *w, bool bf16) {
  float *sums = b->sums;
  for (int64_t t = 0; t < a->rows; t++, sums += VLM_PANEL)
    for (int n = 0; n < VLM_PANEL; n += V_WIDTH) {
      v_f32 weight, unused;
      if (bf16) v_pair_bf16(w + n, &weight, &unused);
      else weight = v_load((const float *)w + n);
      v_store(sums + n, v_fma(v_set1(a->x[t * a->x_stride + a->inputs - 1]), weight, v_load(sums + n)));
    }
}

static void thin_block(const vlm_linear_args *a, const linear_block *b) {
  const bool bf16 = a->kind == VLM_LINEAR_BF16_F32;
  const int64_t words = bf16 ? VLM_PANEL : 2 * VLM_PANEL, panel = VLM_PANEL * (bf16 ? vlm_ceil_div(a->inputs, 2) : a->inputs);
  const uint32_t *w = (const uint32_t *)a->weight + b->panel * panel;
  thin_layer layer = {.x = a->x, .x_stride = a->x_stride * 4, .x_unit = 8, .weights = w, .unit_bytes = words * 4,
                      .units = a->inputs / 2, .pass = GEMM_ROWS};
  thin_panel(a, &layer, b, bf16 ? bf16_runs[a->is_far] : f32_runs[a->is_far]);
  if (a->inputs % 2) thin_last(a, b, w + a->inputs / 2 * words, bf16);
}

static void linear_f32(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch, linear_block_fn *few, linear_block_fn *many) {
  if (few && a->rows <= VLM_LINEAR_FEW_ROWS) linear_blocks(a, begin, end, scratch, few, (linear_cut){1, a->inputs});
  else linear_blocks(a, begin, end, scratch, many, (linear_cut){LINEAR_PANELS, LINEAR_F32_INPUTS});
}
