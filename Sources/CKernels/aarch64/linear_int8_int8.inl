// 8-bit weights over rows of int8: a tile is up to TILE_ROWS rows × 16 outputs, or two rows × 32. Codes become signed by less CENTRE, and so
// do their zeros.

enum { TILE_ROWS = 4, INPUTS = 512, PREFETCH = 2048, CENTRE = 128, STEP_BYTES = VLM_PANEL * 4 };

// sums += scale · (x.scale · (dot − zero · x.sum)) with every product rounded, of the vectors from n on.
VLM_INLINE void add_group(const int8_piece *p, int32x4_t dot[][TILE_ROWS], const int n, float *sums, const int rows, const int vectors) {
  row_pointers at = row_pointers_at(p->ends, p->end_stride, rows);
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) {
    const int o = LANES * (n + v);
    const float32x4_t scale = vld1q_f32(p->tail->scale + o);
    const int32x4_t zero = vsubq_s32(vreinterpretq_s32_u32(vmovl_u16(vld1_u16(p->tail->zero + o))), vdupq_n_s32(CENTRE));
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) {
      const int32x4_t whole = vmlsq_n_s32(dot[v][m], zero, int_at(row_pointer(&at, p->end_stride, m, offsetof(vlm_i8_tail, sum))));
      const float x_scale = float_at(row_pointer(&at, p->end_stride, m, offsetof(vlm_i8_tail, scale)));
      const float32x4_t product = vmulq_f32(vmulq_n_f32(vcvtq_f32_s32(whole), x_scale), scale);
      float *sum = sums + m * VLM_PANEL + o;
      vst1q_f32(sum, vaddq_f32(p->is_first ? vdupq_n_f32(0) : vld1q_f32(sum), product));
    }
  }
}

// The vectors n ..< n + vectors.
VLM_INLINE void part(const int8_piece *p, const int n, float *sums, const bool is_far, const int rows, const int vectors) {
  row_pointers at = row_pointers_at(p->x, p->x_stride, rows);
  const uint8_t *w = p->w + 16 * n;
  int32x4_t dot[VECTORS][TILE_ROWS];
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++)
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++)
      dot[v][m] = p->carries ? vld1q_s32((const int32_t *)(const void *)(sums + m * VLM_PANEL + LANES * (n + v))) : vdupq_n_s32(0);
#pragma clang loop unroll(disable)
  for (int64_t k = 0; k < p->inputs; k += 16, row_pointers_advance(&at, 16, rows)) {
    int8x16_t x[TILE_ROWS];
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) x[m] = vld1q_s8(row_pointer(&at, p->x_stride, m, 0));
#pragma clang loop unroll(full)
    for (int i = 0; i < 4; i++, w += STEP_BYTES) {
#pragma clang loop unroll(full)
      for (int line = 0; line < 16 * vectors; line += 64) prefetch_line(w + line, &p->stream, is_far);
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) {
        const int8x16_t part = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(w + 16 * v), vdupq_n_u8(CENTRE)));
#pragma clang loop unroll(full)
        for (int m = 0; m < rows; m++) dot[v][m] = add_dots(dot[v][m], part, x[m], i);
      }
    }
  }
  if (p->tail) {
    add_group(p, dot, n, sums, rows, vectors);
    return;
  }
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++)
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) vst1q_s32((int32_t *)(void *)(sums + m * VLM_PANEL + LANES * (n + v)), dot[v][m]);
}

#define VECTORS_OF(rows) ((rows) <= 2 ? VECTORS : VECTORS / 2)
#define TILES(DO) DO(1) DO(2) DO(3) DO(4)
#define DEFINE(R) \
  VLM_INLINE void tile_##R(const int8_piece *p, float *sums, const bool is_far) { \
    for (int n = 0; n < VECTORS; n += VECTORS_OF(R)) part(p, n, sums, is_far, R, VECTORS_OF(R)); \
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

static void thin_block(const vlm_linear_args *a, const linear_block *b) {
  int8_block(a, b, &(int8_plan){.tiles = tiles[a->is_far], .tile_rows = TILE_ROWS, .inputs = INPUTS, .ahead = PREFETCH});
}

static void tall_block(const vlm_linear_args *a, const linear_block *b) {
  int8_block(a, b, &(int8_plan){.tiles = tiles[0], .tile_rows = TILE_ROWS, .inputs = INPUTS});
}

static void linear_int8(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  if (a->rows <= VLM_LINEAR_FEW_ROWS) linear_blocks(a, begin, end, scratch, thin_block, (linear_cut){1, a->inputs});
  else linear_blocks(a, begin, end, scratch, tall_block, (linear_cut){LINEAR_PANELS, INPUTS});
}
