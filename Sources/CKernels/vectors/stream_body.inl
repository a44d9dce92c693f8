// The product of few rows with a matrix that is read once, from memory: C[rows, columns] (+)= A[rows, k] · B[k, columns], B in
// f32 or bf16 in pairs of rows, which are widened once for all rows of A. An element sums in the order of k, so its bits are those of
// gemm_body.inl.
//
// Register tile: STREAM_WIDE rows × 4 vectors, GEMM_ROWS × 2. While B is read, as many bytes of what comes next are prefetched.

typedef struct {
  gemm_tile tile;
  const char *next;  // what to prefetch meanwhile, any address; moves on
} stream_tile;

// A vector of a row of B; of bf16 one of the two rows of a pair.
VLM_INLINE v_f32 stream_vector(const char *b, const bool bf16, const int row) {
  v_f32 first, second;
  if (!bf16) return v_load((const float *)b);
  v_split_bf16((const uint16_t *)b, &first, &second);
  return row ? second : first;
}

VLM_INLINE void stream_step(const row_pointers *a, int64_t a_stride, const int offset, const char *b, v_f32 sum[][4], const bool bf16,
                            const int row, const int rows, const int vectors) {
  v_f32 w[4];
#pragma clang loop unroll(full)
  for (int n = 0; n < vectors; n++) w[n] = stream_vector(b + n * V_WIDTH * 4, bf16, row);
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++) {
    const v_f32 x = v_set1(*(const float *)row_pointer(a, a_stride, m, offset));
#pragma clang loop unroll(full)
    for (int n = 0; n < vectors; n++) sum[m][n] = v_fma(x, w[n], sum[m][n]);
  }
}

VLM_INLINE void stream_rows(stream_tile *s, const bool bf16, const int rows, const int vectors) {
  const gemm_tile *g = &s->tile;
  v_f32 sum[GEMM_ROWS][4];
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++)
#pragma clang loop unroll(full)
    for (int n = 0; n < vectors; n++) sum[m][n] = g->accumulate ? v_load(g->c + m * g->c_stride + n * V_WIDTH) : v_zero();
  const int64_t a_stride = g->a_stride * (int64_t)sizeof(float), b_stride = g->b_stride * 4;
  const int lines = 4 * vectors * V_WIDTH * (bf16 ? 2 : 4) / 64;  // of B in four rows
  const char *b = g->b, *next = s->next;
  row_pointers a = row_pointers_at(g->a, a_stride, rows);
  int64_t k = g->k;
  for (; k >= 4; k -= 4, row_pointers_advance(&a, 4 * sizeof(float), rows), next += 64 * lines) {
#pragma clang loop unroll(full)
    for (int i = 0; i < 4; i++) {
#pragma clang loop unroll(full)
      for (int line = i * lines / 4; line < (i + 1) * lines / 4; line++) __builtin_prefetch(next + 64 * line, 0, 2);
      stream_step(&a, a_stride, i * (int)sizeof(float), b, sum, bf16, i % 2, rows, vectors);
      if (!bf16 || i % 2) b += b_stride;
    }
  }
  for (int row = 0; row < k; row++, row_pointers_advance(&a, sizeof(float), rows)) {
    if (row % 2) stream_step(&a, a_stride, 0, b, sum, bf16, 1, rows, vectors);
    else stream_step(&a, a_stride, 0, b, sum, bf16, 0, rows, vectors);
    if (!bf16 || row % 2) b += b_stride;
  }
  s->next = next;
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++)
#pragma clang loop unroll(full)
    for (int n = 0; n < vectors; n++) v_store(g->c + m * g->c_stride + n * V_WIDTH, sum[m][n]);
}

typedef void stream_fn(stream_tile *s);
#define STREAM_DEFINE(R) \
  static __attribute__((noinline)) void stream_bf16_##R##x4(stream_tile *s) { stream_rows(s, true, R, R <= STREAM_WIDE ? 4 : 2); } \
  static __attribute__((noinline)) void stream_bf16_##R##x2(stream_tile *s) { stream_rows(s, true, R, 2); } \
  static __attribute__((noinline)) void stream_bf16_##R##x1(stream_tile *s) { stream_rows(s, true, R, 1); } \
  static __attribute__((noinline)) void stream_f32_##R##x4(stream_tile *s) { stream_rows(s, false, R, R <= STREAM_WIDE ? 4 : 2); } \
  static __attribute__((noinline)) void stream_f32_##R##x2(stream_tile *s) { stream_rows(s, false, R, 2); } \
  static __attribute__((noinline)) void stream_f32_##R##x1(stream_tile *s) { stream_rows(s, false, R, 1); }
GEMM_CASES(STREAM_DEFINE)
#undef STREAM_DEFINE

#define STREAM_BF16(R) {stream_bf16_##R##x1, stream_bf16_##R##x2, stream_bf16_##R##x4},
#define STREAM_F32(R) {stream_f32_##R##x1, stream_f32_##R##x2, stream_f32_##R##x4},
static stream_fn *const bf16_streams[][3] = {GEMM_CASES(STREAM_BF16)}, *const f32_streams[][3] = {GEMM_CASES(STREAM_F32)};

// Columns of C in steps of one, two or four vectors; `width` is a multiple of V_WIDTH.
static const char *stream_wide(stream_tile s, int64_t rows, int64_t width, bool bf16) {
  stream_fn *const *steps = bf16 ? bf16_streams[rows - 1] : f32_streams[rows - 1];
  const char *b = s.tile.b;
  float *c = s.tile.c;
  for (int64_t n = 0, vectors; n < width; n += vectors * V_WIDTH) {
    int64_t left = (width - n) / V_WIDTH;
    int step = left >= 4 && rows <= STREAM_WIDE ? 2 : left >= 2 ? 1 : 0;
    vectors = 1 << step;
    s.tile.b = b + n * 4;
    s.tile.c = c + n;
    steps[step](&s);
  }
  return s.next;
}
