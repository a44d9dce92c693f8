// The f32 inner product shared by linear layers and attention: C[rows, columns] (+)= A[rows, k] · B[k, columns].
//
// Register tile: GEMM_ROWS × 2 vectors; GEMM_CASES(DO) does something for each number of rows up to that.

#include "row_pointers.inl"

enum { GEMM_AHEAD = 128 };  // bytes of a row of A to prefetch

typedef struct {
  int64_t k;
  const float *a;
  int64_t a_stride;
  const void *b;   // f32, or bf16 where the caller says so; rows of b_stride; whole vectors are read
  int64_t b_stride;
  float *c;        // whole vectors are read and written
  int64_t c_stride;
  bool accumulate;
} gemm_tile;

VLM_INLINE void gemm_step(const row_pointers *a, int64_t a_stride, const int offset, const void *b, v_f32 sum[][2], const bool bf16,
                          const int rows, const int vectors) {
  v_f32 w[2];
#pragma clang loop unroll(full)
  for (int n = 0; n < vectors; n++) w[n] = bf16 ? v_from_bf16((const uint16_t *)b + n * V_WIDTH) : v_load((const float *)b + n * V_WIDTH);
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++) {
    v_f32 x = v_set1(*(const float *)row_pointer(a, a_stride, m, offset));
#pragma clang loop unroll(full)
    for (int n = 0; n < vectors; n++) sum[m][n] = v_fma(x, w[n], sum[m][n]);
  }
}

VLM_INLINE void gemm_rows(const gemm_tile *g, const bool bf16, const int rows, const int vectors) {
  v_f32 sum[GEMM_ROWS][2];
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++)
#pragma clang loop unroll(full)
    for (int n = 0; n < vectors; n++) sum[m][n] = g->accumulate ? v_load(g->c + m * g->c_stride + n * V_WIDTH) : v_zero();
  const int64_t a_stride = g->a_stride * (int64_t)sizeof(float), b_stride = g->b_stride * (bf16 ? 2 : 4);
  const char *b = g->b;
  row_pointers a = row_pointers_at(g->a, a_stride, rows);
  int64_t k = g->k;
  while (k >= 4) {
    row_pointers_prefetch(&a, a_stride, GEMM_AHEAD, rows);
    for (int64_t line = vlm_min(k / 4, 4); line > 0; line--, k -= 4, row_pointers_advance(&a, 4 * sizeof(float), rows)) {
#pragma clang loop unroll(full)
      for (int i = 0; i < 4; i++, b += b_stride) gemm_step(&a, a_stride, i * (int)sizeof(float), b, sum, bf16, rows, vectors);
    }
  }
  for (; k > 0; k--, b += b_stride, row_pointers_advance(&a, sizeof(float), rows)) gemm_step(&a, a_stride, 0, b, sum, bf16, rows, vectors);
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++)
#pragma clang loop unroll(full)
    for (int n = 0; n < vectors; n++) v_store(g->c + m * g->c_stride + n * V_WIDTH, sum[m][n]);
}

#define GEMM_DEFINE(R) \
  static __attribute__((noinline)) void gemm_##R##x2(const gemm_tile *g) { gemm_rows(g, false, R, 2); } \
  static __attribute__((noinline)) void gemm_##R##x1(const gemm_tile *g) { gemm_rows(g, false, R, 1); }
GEMM_CASES(GEMM_DEFINE)
#undef GEMM_DEFINE

// C += or = A · B for rows ≤ GEMM_ROWS and 1 or 2 vectors.
static inline void gemm(const gemm_tile *g, int64_t rows, int vectors) {
  switch (rows) {
#define GEMM_CALL(R) case R: vectors == 2 ? gemm_##R##x2(g) : gemm_##R##x1(g); break;
    GEMM_CASES(GEMM_CALL)
#undef GEMM_CALL
    default: break;
  }
}
