// One run of keys against a query tile, GEMM_ROWS query rows at a time: scores by gemm, online softmax, values by gemm.

// Weights stay f32, in place of the scores that they are made of.
static inline v_f32 keep_weights(float *scores, int64_t j, v_f32 p) {
  v_store(scores + j, p);
  return p;
}
#include "attention_softmax.inl"

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

// A product of query rows with keys or values.
static void attend_product(gemm_tile product, int64_t rows, int64_t width, const vlm_key_tile *keys, const void *next) {
  if (keys->streams) stream_wide((stream_tile){product, next}, rows, width, keys->bf16);
  else gemm_wide(product, rows, width);
}

static void attend(const vlm_query_tile *tile, const vlm_key_tile *keys) {
  for (int64_t row = 0; row < tile->rows; row += GEMM_ROWS) {
    int64_t rows = vlm_min(GEMM_ROWS, tile->rows - row), most = vlm_most_visible(keys, row, rows);
    if (most == 0) continue;
    if (!keys->streams) vlm_prefetch_next(tile, keys, row, rows);
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
