// 8-bit weights over rows of int8 in registers of 256 bits: a tile is up to TILE_ROWS rows × 16 outputs, or two rows × 32. The instruction set
// gives X_BYTES, the bytes of a row's number as its tiles read them, and `add_step(weights, rows' place, stride, dots, rows, vectors)`: the
// products of four inputs.

enum { TILE_ROWS = 6, VECTORS = VLM_PANEL / 8, PREFETCH = 2048, STEP_BYTES = VLM_PANEL * 4 };

static inline __m256i four(const void *q) {
  int32_t v;
  __builtin_memcpy(&v, q, 4);
  return _mm256_set1_epi32(v);
}

// sums += scale · (x.scale · (dot − zero · x.sum)) with every product rounded, of the outputs from `first` on.
VLM_INLINE void add_group(const int8_piece *p, __m256i dot[][VECTORS], const int first, float *sums, const int rows, const int vectors) {
  row_pointers at = row_pointers_at(p->ends, p->end_stride, rows);
#pragma clang loop unroll(full)
  for (int n = 0; n < vectors; n++) {
    const int o = first + 8 * n;
    v_f32 scale = v_load(p->tail->scale + o);
    __m256i zero = _mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)(p->tail->zero + o)));
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) {
      __m256i shift = _mm256_mullo_epi32(zero, four(row_pointer(&at, p->end_stride, m, offsetof(vlm_i8_tail, sum))));
      v_f32 x_scale = _mm256_castsi256_ps(four(row_pointer(&at, p->end_stride, m, offsetof(vlm_i8_tail, scale))));
      v_f32 product = v_mul(v_mul(_mm256_cvtepi32_ps(_mm256_sub_epi32(dot[m][n], shift)), x_scale), scale);
      float *sum = sums + m * VLM_PANEL + o;
      v_store(sum, v_add(p->is_first ? v_zero() : v_load(sum), product));
    }
  }
}

VLM_INLINE void add_step(const uint8_t *w, const row_pointers *at, int64_t stride, __m256i dot[][VECTORS], const int rows, const int vectors);

// Outputs first ..< first + 8 · vectors.
VLM_INLINE void part(const int8_piece *p, const int first, float *sums, const bool is_far, const int rows, const int vectors) {
  row_pointers at = row_pointers_at(p->x, p->x_stride, rows);
  const uint8_t *w = p->w + 4 * first;
  __m256i dot[TILE_ROWS][VECTORS];
  sums += first;
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++)
#pragma clang loop unroll(full)
    for (int n = 0; n < vectors; n++)
      dot[m][n] = p->carries ? _mm256_loadu_si256((const void *)(sums + m * VLM_PANEL + 8 * n)) : _mm256_setzero_si256();
#pragma clang loop unroll(disable)
  for (int64_t k = 0; k < p->inputs; k += 4, w += STEP_BYTES, row_pointers_advance(&at, 4 * X_BYTES, rows)) {
    if (vectors == 4) stream_ahead(w, &p->stream, is_far);
    else prefetch_line(w, &p->stream, is_far);
    add_step(w, &at, p->x_stride, dot, rows, vectors);
  }
  if (p->tail) {
    add_group(p, dot, first, sums - first, rows, vectors);
    return;
  }
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++)
#pragma clang loop unroll(full)
    for (int n = 0; n < vectors; n++) _mm256_storeu_si256((void *)(sums + m * VLM_PANEL + 8 * n), dot[m][n]);
}

#define TILES(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6)
#define DEFINE(R) \
  VLM_INLINE void tile_##R(const int8_piece *p, float *sums, const bool is_far) { \
    for (int first = 0; first < VLM_PANEL; first += R <= 2 ? 32 : 16) part(p, first, sums, is_far, R, R <= 2 ? 4 : 2); \
  } \
  static __attribute__((noinline)) void near_##R(const int8_piece *p, float *sums) { tile_##R(p, sums, false); } \
  static __attribute__((noinline)) void far_##R(const int8_piece *p, float *sums) { tile_##R(p, sums, true); }
TILES(DEFINE)
#undef DEFINE
#define NEAR(R) near_##R,
#define FAR(R) far_##R,
static int8_tile_fn *const tiles[][TILE_ROWS] = {{TILES(NEAR)}, {TILES(FAR)}};
#undef NEAR
#undef FAR
