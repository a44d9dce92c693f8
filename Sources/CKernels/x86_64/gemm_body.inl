// The f32 inner product shared by linear layers and attention: C[rows, columns] (+)= A[rows, k] · B[k, columns].
//
// Register tile: GEMM_ROWS × 2 vectors.

typedef struct {
  int64_t k;
  const float *a;
  int64_t a_stride;
  const float *b;  // rows of b_stride; whole vectors are read
  int64_t b_stride;
  float *c;        // whole vectors are read and written
  int64_t c_stride;
  bool accumulate;
} gemm_tile;

static inline __attribute__((always_inline)) void gemm_rows(const gemm_tile *g, const int rows, const int vectors) {
  v_f32 sum[GEMM_ROWS][2];
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++)
#pragma clang loop unroll(full)
    for (int n = 0; n < vectors; n++) sum[m][n] = g->accumulate ? v_load(g->c + m * g->c_stride + n * V_WIDTH) : v_zero();
  const float *a = g->a, *b = g->b;
  const int64_t a_stride = g->a_stride, b_stride = g->b_stride;
  for (int64_t k = g->k; k > 0; k--, a++, b += b_stride) {
    v_f32 w[2];
#pragma clang loop unroll(full)
    for (int n = 0; n < vectors; n++) w[n] = v_load(b + n * V_WIDTH);
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) {
      v_f32 x = v_set1(a[m * a_stride]);
#pragma clang loop unroll(full)
      for (int n = 0; n < vectors; n++) sum[m][n] = v_fma(x, w[n], sum[m][n]);
    }
  }
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++)
#pragma clang loop unroll(full)
    for (int n = 0; n < vectors; n++) v_store(g->c + m * g->c_stride + n * V_WIDTH, sum[m][n]);
}

#define GEMM_CASES(DO) GEMM_CASES_6(DO) GEMM_CASES_12(DO)
#define GEMM_CASES_6(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6)

#define GEMM_DEFINE(R) \
  static __attribute__((noinline)) void gemm_##R##x2(const gemm_tile *g) { gemm_rows(g, R, 2); } \
  static __attribute__((noinline)) void gemm_##R##x1(const gemm_tile *g) { gemm_rows(g, R, 1); }
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
