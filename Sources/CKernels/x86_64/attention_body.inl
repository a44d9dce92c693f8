// One run of keys against a query tile, GEMM_ROWS query rows at a time: scores by gemm, online softmax, values by gemm.

// Columns of C in steps of two vectors; `width` is a multiple of V_WIDTH.
static void gemm_wide(gemm_tile g, int64_t rows, int64_t width) {
  const float *b = g.b;
  float *c = g.c;
  for (int64_t n = 0; n < width; n += 2 * V_WIDTH) {
    g.b = b + n;
    g.c = c + n;
    gemm(&g, rows, n + 2 * V_WIDTH <= width ? 2 : 1);
  }
}

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

static inline float greatest_score(const float *scores, int64_t visible) {
  v_f32 greatest = v_set1(-__builtin_inff());
  int64_t j = 0;
  for (; j + V_WIDTH <= visible; j += V_WIDTH) greatest = v_max(v_load(scores + j), greatest);
  if (j < visible) greatest = v_max(v_select(v_first(visible - j), v_load(scores + j), greatest), greatest);
  return v_most(greatest);
}

// Multiplies the row's output and sum by 2^(before − most).
static void rescale_row(const vlm_query_tile *tile, int64_t row, float before, float most) {
  v_f32 correction = before == -__builtin_inff() ? v_zero() : exp2_negative(v_set1(before - most));
  float *out = tile->out + row * tile->stride, *sum = tile->sum + row * VLM_SUM_LANES;
  for (int64_t i = 0; i < tile->stride; i += V_WIDTH) v_store(out + i, v_mul(v_load(out + i), correction));
  for (int64_t i = 0; i < VLM_SUM_LANES; i += V_WIDTH) v_store(sum + i, v_mul(v_load(sum + i), correction));
}

// Turns the first `visible` scores into 2^(score − most) and the others, up to `width`, into 0, and adds them to the sum.
static void softmax_row(const vlm_query_tile *tile, int64_t row, float *scores, int64_t visible, int64_t width) {
  float before = tile->most[row], most = greatest_score(scores, visible), *lanes = tile->sum + row * VLM_SUM_LANES;
  if (most > before) {
    rescale_row(tile, row, before, most);
    tile->most[row] = before = most;
  }
  v_f32 shift = v_set1(before), sum = v_load(lanes);
  int64_t j = 0;
  for (; j + V_WIDTH <= visible; j += V_WIDTH) {
    v_f32 p = exp2_negative(v_sub(v_load(scores + j), shift));
    sum = v_add(sum, p);
    v_store(scores + j, p);
  }
  for (; j < width; j += V_WIDTH) {
    v_f32 p = v_select(v_first(visible - j), exp2_negative(v_sub(v_load(scores + j), shift)), v_zero());
    sum = v_add(sum, p);
    v_store(scores + j, p);
  }
  v_store(lanes, sum);
}

// As softmax_row for a row that does not see the first `hidden` keys either.
__attribute__((noinline)) static void softmax_row_from(const vlm_query_tile *tile, int64_t row, float *scores, int64_t hidden, int64_t visible, int64_t width) {
  if (hidden >= visible) {
    for (int64_t j = 0; j < width; j += V_WIDTH) v_store(scores + j, v_zero());
    return;
  }
  for (int64_t j = 0; j < hidden; j++) scores[j] = -__builtin_inff();
  float before = tile->most[row], most = greatest_score(scores, visible), *lanes = tile->sum + row * VLM_SUM_LANES;
  if (most > before) {
    rescale_row(tile, row, before, most);
    tile->most[row] = before = most;
  }
  v_f32 shift = v_set1(before), sum = v_load(lanes);
  for (int64_t j = 0; j < width; j += V_WIDTH) {
    v_f32 p = v_select(v_first(visible - j), exp2_negative(v_sub(v_load(scores + j), shift)), v_zero());
    p = v_select(v_first(hidden - j), v_zero(), p);
    sum = v_add(sum, p);
    v_store(scores + j, p);
  }
  v_store(lanes, sum);
}

// softcap · tanh(score / softcap) of each score.
__attribute__((noinline)) static void cap_row(float *scores, int64_t width, float softcap) {
  v_f32 cap = v_set1(softcap), inverse = v_set1(1 / softcap);
  for (int64_t j = 0; j < width; j += V_WIDTH) v_store(scores + j, v_mul(cap, v_tanh(v_mul(v_load(scores + j), inverse))));
}

// Softmax of the scores of query rows [row, row + rows).
VLM_INLINE void softmax_rows(const vlm_query_tile *tile, const vlm_key_tile *keys, int64_t row, int64_t rows, int64_t width) {
  bool hides = keys->first_hidden + tile->rows > 0;
  for (int64_t r = 0; r < rows; r++) {
    float *scores = tile->scores + r * VLM_KEYS_MAX;
    int64_t hidden = hides ? vlm_hidden(keys, row + r) : 0, visible = vlm_visible(keys, row + r);
    if (keys->softcap > 0) cap_row(scores, width, keys->softcap);
    if (hidden > 0) softmax_row_from(tile, row + r, scores, hidden, visible, width);
    else softmax_row(tile, row + r, scores, visible, width);
  }
}

// The share of the next keys and values that belongs to query rows [row, row + rows).
static void prefetch_next(const vlm_query_tile *tile, const vlm_key_tile *keys, int64_t row, int64_t rows) {
  for (int64_t j = keys->next_count * row / tile->rows; j < keys->next_count * (row + rows) / tile->rows; j++)
    for (int64_t i = 0; i < keys->next_bytes + 63; i += 64) {
      __builtin_prefetch((const char *)keys->next_k + j * keys->next_k_stride + i, 0, 2);
      __builtin_prefetch((const char *)keys->next_v + j * keys->next_v_stride + i, 0, 2);
    }
}

// A product of query rows with keys or values.
static void attend_product(gemm_tile product, int64_t rows, int64_t width, const vlm_key_tile *keys, const void *next) {
  if (keys->streams) stream_wide((stream_tile){product, next}, rows, width, keys->bf16);
  else gemm_wide(product, rows, width);
}

static void attend(const vlm_query_tile *tile, const vlm_key_tile *keys) {
  for (int64_t row = 0; row < tile->rows; row += GEMM_ROWS) {
    int64_t rows = vlm_min(GEMM_ROWS, tile->rows - row), most = vlm_most_visible(keys, row, rows);
    if (most == 0) continue;
    if (!keys->streams) prefetch_next(tile, keys, row, rows);
    int64_t width = vlm_ceil_div(most, V_WIDTH) * V_WIDTH;
    gemm_tile scores = {.k = tile->head_dim, .a = tile->q + row * tile->stride, .a_stride = tile->stride, .b = keys->k,
                        .b_stride = keys->k_stride, .c = tile->scores, .c_stride = VLM_KEYS_MAX, .accumulate = false};
    attend_product(scores, rows, width, keys, keys->next_k);
    softmax_rows(tile, keys, row, rows, width);
    gemm_tile values = {.k = most, .a = tile->scores, .a_stride = VLM_KEYS_MAX, .b = keys->v, .b_stride = keys->v_stride,
                        .c = tile->out + row * tile->stride, .c_stride = tile->stride, .accumulate = true};
    attend_product(values, rows, tile->stride, keys, keys->next_v);
  }
}

static void transpose(const float *x, int64_t x_stride, int64_t rows, int64_t columns, float *y, int64_t y_stride) {
  for (int64_t r = 0; r < rows; r += V_WIDTH)
    for (int64_t c = 0; c < columns; c += V_WIDTH) {
      v_f32 in[V_WIDTH], out[V_WIDTH];
      v_mask part = v_first(columns - c);
#pragma clang loop unroll(full)
      for (int i = 0; i < V_WIDTH; i++) in[i] = r + i < rows ? v_load_part(part, x + (r + i) * x_stride + c) : v_zero();
      v_transpose(in, out);
#pragma clang loop unroll(full)
      for (int i = 0; i < V_WIDTH; i++)
        if (c + i < columns) v_store(y + (c + i) * y_stride + r, out[i]);
    }
}

static void fold(float *total, float kept, const float *out, float added, int64_t floats) {
  v_f32 keep = v_set1(kept), add = v_set1(added);
  for (int64_t i = 0; i < floats; i += V_WIDTH) v_store(total + i, v_fma(v_load(out + i), add, v_mul(v_load(total + i), keep)));
}
