// One run of keys against a query tile, GEMM_ROWS query rows at a time: scores by gemm, online softmax, values by gemm.

// columns of C in steps of two vectors; `width` is a multiple of V_WIDTH.
static void gemm_wide(gemm_tile g, int64_t rows, int64_t width) {
  const float *b = g.b;
  float *c = g.c;
  for (int64_t n = 0; n < width; n += 2 * V_WIDTH) {
    g.b = b + n;
    g.c = c + n;
    gemm(&g, rows, n + 2 * V_WIDTH <= width ? 2 : 1);
  }
}

// Turns the first `visible` scores into exp(score − most) and the others, up to `width`, into 0; rescales the row's state.
static void softmax_row(const vlm_query_tile *tile, int64_t row, float *scores, int64_t visible, int64_t width) {
  v_f32 lowest = v_set1(-__builtin_inff()), greatest = lowest, sum = v_zero();
  for (int64_t j = 0; j < visible; j += V_WIDTH) greatest = v_max(v_select(v_first(visible - j), v_load(scores + j), lowest), greatest);
  float before = tile->most[row], most = v_most(greatest);
  most = most > before ? most : before;
  v_f32 shift = v_set1(most);
  for (int64_t j = 0; j < width; j += V_WIDTH) {
    v_f32 p = v_select(v_first(visible - j), v_exp_negative(v_sub(v_load(scores + j), shift)), v_zero());
    sum = v_add(sum, p);
    v_store(scores + j, p);
  }
  tile->most[row] = most;
  if (most == before) {
    tile->sum[row] += v_sum(sum);
    return;
  }
  v_f32 correction = v_exp_negative(v_set1(before - most));
  if (before == -__builtin_inff()) correction = v_zero();
  float *out = tile->out + row * tile->stride;
  for (int64_t i = 0; i < tile->stride; i += V_WIDTH) v_store(out + i, v_mul(v_load(out + i), correction));
  tile->sum[row] = tile->sum[row] * v_sum(v_select(v_first(1), correction, v_zero())) + v_sum(sum);
}

static void attend(const vlm_query_tile *tile, const vlm_key_tile *keys) {
  for (int64_t row = 0; row < tile->rows; row += GEMM_ROWS) {
    int64_t rows = vlm_min(GEMM_ROWS, tile->rows - row), most = vlm_visible(keys, row + rows - 1);
    if (most == 0) continue;
    int64_t width = vlm_ceil_div(most, V_WIDTH) * V_WIDTH;
    gemm_wide((gemm_tile){tile->head_dim, tile->q + row * tile->stride, tile->stride, keys->k, keys->k_stride, tile->scores, VLM_KEYS_MAX, false}, rows, width);
    for (int64_t r = 0; r < rows; r++) softmax_row(tile, row + r, tile->scores + r * VLM_KEYS_MAX, vlm_visible(keys, row + r), width);
    gemm_wide((gemm_tile){most, tile->scores, VLM_KEYS_MAX, keys->v, keys->v_stride, tile->out + row * tile->stride, tile->stride, true}, rows, tile->stride);
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
