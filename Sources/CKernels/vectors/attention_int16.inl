// Attention of query rows to keys and values in 16-bit codes, ROWS query rows at a time: scores and values by sums of integers, weights by an
// online softmax whose shift is the greatest score of the key tile at hand. The instruction set gives `v_i32`, V_WIDTH integers or pairs of
// codes; `i_dot(sums, pairs, pair)`; `i_join(low, high)`, pairs of two vectors' low 16 bits; `i_total(sums)`; `v_code2(x, most)`, for x ≤ 0
// most · 2ˣ within 1.1e-4 of it as a code in the low bits.

#include "row_pointers.inl"

// Dots of rows of pairs with columns of pairs.
typedef struct {
  int64_t pairs;
  const void *a;
  int64_t a_stride;   // in bytes
  const uint32_t *b;  // whole vectors are read
  int64_t b_stride;
  float *c;           // whole vectors are read and written
  int64_t c_stride;
  const float *row_scale, *column_scale;
  const float *kept;  // what each row of C is multiplied by before
} coded_product;

VLM_INLINE void coded_step(const row_pointers *a, int64_t a_stride, const int offset, const uint32_t *b, v_i32 sum[][2], const int rows,
                           const int vectors) {
  v_i32 w[2];
#pragma clang loop unroll(full)
  for (int n = 0; n < vectors; n++) w[n] = i_load(b + n * V_WIDTH);
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++) {
    v_i32 pair = i_set1(row_pointer(a, a_stride, m, offset));
#pragma clang loop unroll(full)
    for (int n = 0; n < vectors; n++) sum[m][n] = i_dot(sum[m][n], w[n], pair);
  }
}

VLM_INLINE void coded_dots(const coded_product *p, v_i32 sum[][2], const int rows, const int vectors) {
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++)
#pragma clang loop unroll(full)
    for (int n = 0; n < vectors; n++) sum[m][n] = i_zero();
  const uint32_t *b = p->b;
  row_pointers a = row_pointers_at(p->a, p->a_stride, rows);
  int64_t pairs = p->pairs;
#pragma clang loop unroll(disable)
  for (; pairs >= 4; pairs -= 4, row_pointers_advance(&a, 16, rows)) {
#pragma clang loop unroll(full)
    for (int i = 0; i < 4; i++, b += p->b_stride) coded_step(&a, p->a_stride, 4 * i, b, sum, rows, vectors);
  }
#pragma clang loop unroll(disable)
  for (; pairs > 0; pairs--, b += p->b_stride, row_pointers_advance(&a, 4, rows)) coded_step(&a, p->a_stride, 0, b, sum, rows, vectors);
}

// C = dots · scale of the column · scale of the row.
VLM_INLINE void coded_scores(const coded_product *p, const int rows) {
  v_i32 sum[ROWS][2];
  coded_dots(p, sum, rows, 2);
#pragma clang loop unroll(full)
  for (int n = 0; n < 2; n++) {
    v_f32 scale = v_load(p->column_scale + n * V_WIDTH);
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++)
      v_store(p->c + m * p->c_stride + n * V_WIDTH, v_mul(v_mul(i_floats(sum[m][n]), scale), v_set1(p->row_scale[m])));
  }
}

// C = C · kept + dots · (scale of the column · scale of the row), with one rounding of the sum.
VLM_INLINE void coded_values(const coded_product *p, const int rows, const int vectors) {
  v_i32 sum[ROWS][2];
  coded_dots(p, sum, rows, vectors);
#pragma clang loop unroll(full)
  for (int n = 0; n < vectors; n++) {
    v_f32 scale = v_load(p->column_scale + n * V_WIDTH);
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) {
      float *c = p->c + m * p->c_stride + n * V_WIDTH;
      v_store(c, v_fma(i_floats(sum[m][n]), v_mul(scale, v_set1(p->row_scale[m])), v_mul(v_load(c), v_set1(p->kept[m]))));
    }
  }
}

#define CODED_DEFINE(R) \
  static __attribute__((noinline)) void scores_##R(const coded_product *p) { coded_scores(p, R); } \
  static __attribute__((noinline)) void values_##R##x1(const coded_product *p) { coded_values(p, R, 1); } \
  static __attribute__((noinline)) void values_##R##x2(const coded_product *p) { coded_values(p, R, 2); }
ROW_CASES(CODED_DEFINE)
#undef CODED_DEFINE

typedef void coded_fn(const coded_product *p);
#define CODED_ROW(R) {scores_##R, values_##R##x1, values_##R##x2},
static coded_fn *const products[][3] = {ROW_CASES(CODED_ROW)};
#undef CODED_ROW

// 2ˣ for x ≤ 0 within 1 ulp; below −125 about 1e-38 instead of less.
static inline v_f32 exp2_negative(v_f32 x) {
  const v_f32 magic = v_set1(0x1.8p23f);
  x = v_max(v_set1(-125), x);
  v_f32 shifted = v_add(x, magic), r = v_sub(x, v_sub(shifted, magic));
  v_f32 p = v_fma(v_set1(VLM_EXP2_C5), r, v_set1(VLM_EXP2_C4));
  p = v_fma(p, r, v_set1(VLM_EXP2_C3));
  p = v_fma(p, r, v_set1(VLM_EXP2_C2));
  p = v_fma(p, r, v_set1(VLM_EXP2_C1));
  return v_scale2_bits(v_fma(p, r, v_set1(1)), shifted);
}

// softcap · tanh(score / softcap) of each score.
__attribute__((noinline)) static void cap_row(float *scores, int64_t width, float softcap) {
  v_f32 cap = v_set1(softcap), inverse = v_set1(1 / softcap);
  for (int64_t j = 0; j < width; j += V_WIDTH) v_store(scores + j, v_mul(cap, v_tanh(v_mul(v_load(scores + j), inverse))));
}

static inline float greatest_score(const float *scores, int64_t count) {
  const v_f32 least = v_set1(-__builtin_inff());
  v_f32 greatest[2] = {least, least};
  int64_t j = 0;
  for (; j + 2 * V_WIDTH <= count; j += 2 * V_WIDTH)
    for (int n = 0; n < 2; n++) greatest[n] = v_max(v_load(scores + j + n * V_WIDTH), greatest[n]);
  for (; j < count; j += V_WIDTH) greatest[0] = v_max(v_select(v_first(count - j), v_load(scores + j), least), greatest[0]);
  return v_most(v_max(greatest[0], greatest[1]));
}

// Turns the first `count` scores of a row into codes of 2^(score − most), over the scores, with zeros up to a whole pair of vectors; returns
// the codes' sum.
static int32_t weigh_row(float *scores, int64_t count, float most) {
  const v_f32 shift = v_set1(most), top = v_set1(VLM_WEIGHT_CODE_MOST);
  const v_i32 ones = i_ones();
  v_i32 sum = i_zero();
  int64_t j = 0;
  for (; j + 2 * V_WIDTH <= count; j += 2 * V_WIDTH) {
    v_f32 low = v_code2(v_sub(v_load(scores + j), shift), top), high = v_code2(v_sub(v_load(scores + j + V_WIDTH), shift), top);
    v_i32 pairs = i_join(low, high);
    i_store((uint32_t *)scores + j / 2, pairs);
    sum = i_dot(sum, pairs, ones);
  }
  if (j < count) {
    v_f32 low = v_code2(v_sub(v_load(scores + j), shift), top), high = v_code2(v_sub(v_load(scores + j + V_WIDTH), shift), top);
    v_i32 pairs = i_join(v_select(v_first(count - j), low, v_zero()), v_select(v_first(count - j - V_WIDTH), high, v_zero()));
    i_store((uint32_t *)scores + j / 2, pairs);
    sum = i_dot(sum, pairs, ones);
  }
  return i_total(sum);
}

enum { LANES = (ROWS + V_WIDTH - 1) / V_WIDTH * V_WIDTH };

// What is done to the rows of a step: rows' outputs and sums are multiplied by `kept`, and those of the key tile by `added`.
typedef struct {
  float most[LANES], kept[LANES], added[LANES];
} step_state;

// Turns scores into codes and updates the rows' greatest score and sum.
static void weigh(const vlm_query_tile *tile, const vlm_key_tile *keys, float spoilt, int64_t row, int64_t rows, step_state *s) {
  float before[LANES] = {0}, sum[LANES] = {0}, codes[LANES] = {0};
  for (int64_t r = 0; r < LANES; r++) s->most[r] = 0;
  for (int64_t r = 0; r < rows; r++) {
    float *scores = tile->scores + r * VLM_KEYS_MAX;
    if (keys->softcap > 0) cap_row(scores, keys->count, keys->softcap);
    s->most[r] = greatest_score(scores, keys->count);
    before[r] = tile->most[row + r];
    sum[r] = tile->sum[(row + r) * VLM_SUM_LANES];
  }
  for (int64_t r = 0; r < rows; r++) codes[r] = (float)weigh_row(tile->scores + r * VLM_KEYS_MAX, keys->count, s->most[r]);
  for (int64_t r = 0; r < LANES; r += V_WIDTH) {
    const v_f32 last = v_load(before + r), here = v_load(s->most + r), most = v_max(here, last), none = v_set1(-__builtin_inff());
    const v_f32 kept = v_select(v_equal(last, none), v_zero(), exp2_negative(v_sub(last, most)));
    const v_f32 added = v_add(exp2_negative(v_sub(here, most)), v_set1(spoilt));
    v_store(s->most + r, most);
    v_store(s->kept + r, kept);
    v_store(s->added + r, added);
    v_store(sum + r, v_fma(v_load(codes + r), added, v_mul(v_load(sum + r), kept)));
  }
  for (int64_t r = 0; r < rows; r++) {
    tile->most[row + r] = s->most[r];
    tile->sum[(row + r) * VLM_SUM_LANES] = sum[r];
  }
}

static void attend_codes(const vlm_query_tile *tile, const vlm_key_tile *keys, const vlm_coded_keys *coded) {
  const int64_t pairs = vlm_ceil_div(tile->head_dim, 2), width = vlm_ceil_div(keys->count, 2 * V_WIDTH) * 2 * V_WIDTH;
  float scale[ROWS];
  step_state state;
  for (int64_t row = 0; row < tile->rows; row += ROWS) {
    const int64_t rows = vlm_min(ROWS, tile->rows - row);
    coded_fn *const *product = products[rows - 1];
    vlm_prefetch_next(tile, keys, row, rows);
    for (int64_t r = 0; r < rows; r++) scale[r] = *vlm_coded_scale(tile, row + r);
    coded_product scores = {.pairs = pairs, .a = tile->q + row * tile->stride, .a_stride = tile->stride * (int64_t)sizeof(float),
                            .b_stride = VLM_PANEL, .c = tile->scores, .c_stride = VLM_KEYS_MAX, .row_scale = scale};
    for (int64_t j = 0; j < width; j += 2 * V_WIDTH, scores.c += 2 * V_WIDTH) {
      scores.b = coded->coded_k + j / VLM_PANEL * pairs * VLM_PANEL + j % VLM_PANEL;
      scores.column_scale = coded->k_scale + j;
      product[0](&scores);
    }
    weigh(tile, keys, coded->spoilt, row, rows, &state);
    coded_product values = {.pairs = width / 2, .a = tile->scores, .a_stride = VLM_KEYS_MAX * (int64_t)sizeof(float), .b_stride = tile->stride,
                            .c_stride = tile->stride, .row_scale = state.added, .kept = state.kept};
    for (int64_t n = 0, vectors; n < tile->stride; n += vectors * V_WIDTH) {
      vectors = n + 2 * V_WIDTH <= tile->stride ? 2 : 1;
      values.b = coded->coded_v + n;
      values.c = tile->out + row * tile->stride + n;
      values.column_scale = coded->v_scale + n;
      product[vectors](&values);
    }
  }
}
