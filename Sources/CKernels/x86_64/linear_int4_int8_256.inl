// int4 layers over rows of int8 in registers of 256 bits: a tile is up to TILE_ROWS rows × 8 of a panel's 32 outputs, or × 16 or 32 of them. The
// instruction set gives VECTORS, how many vectors of 8 outputs so many rows take, and `add_chunk(weights, rows' place, stride, dots, whether the
// weights are u8 already, rows, vectors)`: the dots of CHUNK inputs.

enum { TILE_ROWS = 6, INPUTS = 512, PREFETCH = 2176, CHUNK = 32 };

static inline __m256i four(const void *q) {
  int32_t v;
  __builtin_memcpy(&v, q, 4);
  return _mm256_set1_epi32(v);
}

// sums += scale · x.scale · (dot − zero · x.sum) of outputs 8n...8n + 7, whose dots are integers.
VLM_INLINE void add_group(const __m256i *dot, const uint16_t *scales, const row_pointers *at, int64_t stride, const int n, float *sums,
                          const int rows) {
  v_f32 scale = v_from_f16(scales + 8 * n);
  __m256i zero = _mm256_cvtps_epi32(v_from_f16(scales + VLM_PANEL + 8 * n));
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++) {
    // |x.sum| < 2¹⁵, and the high halves of zero are 0.
    __m256i shift = _mm256_madd_epi16(zero, four(row_pointer(at, stride, m, offsetof(vlm_i8_tail, sum))));
    v_f32 x_scale = _mm256_castsi256_ps(four(row_pointer(at, stride, m, offsetof(vlm_i8_tail, scale))));
    v_f32 product = v_mul(_mm256_cvtepi32_ps(_mm256_sub_epi32(dot[m], shift)), x_scale);
    float *sum = sums + m * VLM_PANEL + 8 * n;
    v_store(sum, v_fma(scale, product, v_load(sum)));
  }
}

// Codes in the low and in the high halves of 32 bytes as u8.
VLM_INLINE void split32(const uint8_t *codes, __m256i *first, __m256i *second) {
  const __m256i low = _mm256_set1_epi8(15), v = _mm256_loadu_si256((const void *)codes);
  *first = _mm256_and_si256(v, low);
  *second = _mm256_and_si256(_mm256_srli_epi16(v, 4), low);
}

VLM_INLINE void add_chunk(const uint8_t *w, const row_pointers *at, int64_t stride, __m256i dot[][TILE_ROWS], const bool split, const int rows,
                          const int vectors);

// One group of outputs 8n … 8(n + vectors) − 1: the vectors take turns chunk by chunk, so that memory is read in its order.
VLM_INLINE void tile(const tile_run *run, const uint8_t *block, row_pointers at, const int n, const int vectors, float *sums, const bool split,
                     const bool is_far, const int rows) {
  const int bytes = CHUNK / 8 * STEP_BYTES;
  const uint8_t *codes = (split ? run->u8 : block) + 32 * n;
  __m256i dot[4][TILE_ROWS];
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++)
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) dot[v][m] = _mm256_setzero_si256();
  for (int64_t k = 0; k < run->group; k += CHUNK, codes += split ? 2 * bytes : bytes, row_pointers_advance(&at, CHUNK, rows)) {
    if (!split)
#pragma clang loop unroll(full)
      for (int part = n; part < n + vectors; part++) stream_part(codes - 32 * n, part, &run->stream, is_far);
    add_chunk(codes, &at, run->x_stride, dot, split, rows, vectors);
  }
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) add_group(dot[v], block_scales(block, run->group), &at, run->x_stride, n + v, sums, rows);
}

VLM_INLINE void thin(const tile_run *run, float *sums, const bool is_far, const int rows) {
  const uint8_t *block = run->w;
  row_pointers at = row_pointers_at(run->x, run->x_stride, rows);
  const int vectors = VECTORS(rows);
  for (int64_t g = 0; g < run->groups; g++, block += vlm_int4_block_bytes(run->group)) {
    const char *scales = (const char *)block_scales(block, run->group);
    stream_ahead(scales, &run->stream, is_far);
#pragma clang loop unroll(full)
    for (int n = 0; n < 4; n += vectors) tile(run, block, at, n, vectors, sums, false, is_far, rows);
    row_pointers_advance(&at, vlm_i8_group_bytes(run->group), rows);
  }
}

VLM_INLINE void tall(const tile_run *run, float *sums, const int rows) {
  row_pointers at = row_pointers_at(run->x, run->x_stride, rows);
  for (int n = 0; n < 4; n += VECTORS(TILE_ROWS)) tile(run, run->w, at, n, VECTORS(TILE_ROWS), sums, true, false, rows);
}

#define TILES(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6)
#include "../vectors/linear_int4_int8_tiles.inl"

// Splits the codes of a group.
static void split(const tile_run *run, uint8_t *y) {
  for (int64_t k = 0; k < run->group; k += 8, y += 2 * STEP_BYTES)
    for (int n = 0; n < 4; n++) {
      __m256i first, second;
      split32(run->w + k * (VLM_PANEL / 2) + 32 * n, &first, &second);
      _mm256_store_si256((void *)(y + 32 * n), first);
      _mm256_store_si256((void *)(y + STEP_BYTES + 32 * n), second);
    }
}

// Groups outside, rows inside: a split group stays in the first cache.
static void tall_block(const vlm_linear_args *a, const linear_block *b) {
  clear_sums(a, b);
  for (int64_t k = b->k; k < b->k + b->k_count; k += a->group) {
    tile_run run = run_at(a, b->panel, k, a->group);
    run.u8 = (const uint8_t *)b->weights;
    split(&run, (uint8_t *)b->weights);
    for (int64_t m = 0; m < a->rows; m += TILE_ROWS) {
      const int64_t bytes = (int64_t)vlm_int4_block_bytes(a->group);
      linear_prefetch(a, run.w + bytes, bytes, m, TILE_ROWS);
      run.x = i8_group(a, &run, m, k);
      tall_tiles[vlm_min(TILE_ROWS, a->rows - m) - 1](&run, b->sums + m * VLM_PANEL);
    }
  }
}
