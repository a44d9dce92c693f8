// Online softmax of the scores of query rows, one run of keys at a time. The file that includes this says by keep_weights(scores, j,
// p), which returns them, how V_WIDTH weights are kept in place of scores j and later, and of earlier ones if they take less room.

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
    v_f32 p = keep_weights(scores, j, exp2_negative(v_sub(v_load(scores + j), shift)));
    sum = v_add(sum, p);
  }
  for (; j < width; j += V_WIDTH) {
    v_f32 p = keep_weights(scores, j, v_select(v_first(visible - j), exp2_negative(v_sub(v_load(scores + j), shift)), v_zero()));
    sum = v_add(sum, p);
  }
  v_store(lanes, sum);
}

// As softmax_row for a row that does not see the first `hidden` keys either.
__attribute__((noinline)) static void softmax_row_from(const vlm_query_tile *tile, int64_t row, float *scores, int64_t hidden, int64_t visible, int64_t width) {
  if (hidden >= visible) {
    for (int64_t j = 0; j < width; j += V_WIDTH) keep_weights(scores, j, v_zero());
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
    p = keep_weights(scores, j, v_select(v_first(hidden - j), v_zero(), p));
    sum = v_add(sum, p);
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
