// int4 layers over rows of int8: a tile is up to TILE_ROWS rows × 16 of a panel's 32 outputs, or two rows × 32.

enum { TILE_ROWS = 4, INPUTS = 512, PREFETCH = 2176, CHUNK = 16 };

// sums += scale · x.scale · (dot − zero · x.sum) of the vectors from n on, whose dots are integers.
VLM_INLINE void add_group(int32x4_t dot[][TILE_ROWS], const uint16_t *scales, const row_pointers *at, int64_t stride, const int n, const int vectors,
                          float *sums, const int rows) {
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) {
    const int o = LANES * (n + v);
    const float32x4_t scale = vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(scales + o)));
    const int32x4_t zero = vcvtq_s32_f32(vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(scales + VLM_PANEL + o))));
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) {
      const int32x4_t whole = vmlsq_n_s32(dot[v][m], zero, int_at(row_pointer(at, stride, m, offsetof(vlm_i8_tail, sum))));
      const float32x4_t product = vmulq_n_f32(vcvtq_f32_s32(whole), float_at(row_pointer(at, stride, m, offsetof(vlm_i8_tail, scale))));
      float *sum = sums + m * VLM_PANEL + o;
      vst1q_f32(sum, vfmaq_f32(vld1q_f32(sum), scale, product));
    }
  }
}

// The weights of 4 outputs: four inputs each, from codes or split already.
VLM_INLINE void load_weights(const uint8_t *codes, int8x16_t w[4], const bool is_split) {
#pragma clang loop unroll(full)
  for (int i = 0; i < 2; i++) {
    if (is_split) {
      w[2 * i] = vld1q_s8((const int8_t *)codes + 2 * i * STEP_BYTES);
      w[2 * i + 1] = vld1q_s8((const int8_t *)codes + (2 * i + 1) * STEP_BYTES);
    } else {
      const uint8x16_t v = vld1q_u8(codes + i * STEP_BYTES);
      w[2 * i] = vreinterpretq_s8_u8(vandq_u8(v, vdupq_n_u8(15)));
      w[2 * i + 1] = vreinterpretq_s8_u8(vshrq_n_u8(v, 4));
    }
  }
}

// One group of the vectors n ..< n + vectors, which take turns chunk by chunk, so that memory is read in its order.
VLM_INLINE void tile(const tile_run *run, const uint8_t *block, row_pointers at, const int n, const int vectors, float *sums, const bool is_split,
                     const bool is_far, const int rows) {
  const int bytes = CHUNK / 8 * STEP_BYTES;
  const uint8_t *codes = (is_split ? run->u8 : block) + 16 * n;
  int32x4_t dot[VECTORS][TILE_ROWS];
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++)
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) dot[v][m] = vdupq_n_s32(0);
  for (int64_t k = 0; k < run->group; k += CHUNK, codes += is_split ? 2 * bytes : bytes, row_pointers_advance(&at, CHUNK, rows)) {
    int8x16_t x[TILE_ROWS];
    if (!is_split)
#pragma clang loop unroll(full)
      for (int line = 0; line < vectors * bytes / VECTORS; line += 64) prefetch_line(codes + (bytes / VECTORS - 16) * n + line, &run->stream, is_far);
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) x[m] = vld1q_s8(row_pointer(&at, run->x_stride, m, 0));
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) {
      int8x16_t w[4];
      load_weights(codes + 16 * v, w, is_split);
#pragma clang loop unroll(full)
      for (int i = 0; i < 4; i++)
#pragma clang loop unroll(full)
        for (int m = 0; m < rows; m++) dot[v][m] = add_dots(dot[v][m], w[i], x[m], i);
    }
  }
  add_group(dot, block_scales(block, run->group), &at, run->x_stride, n, vectors, sums, rows);
}

#define VECTORS_OF(rows) ((rows) <= 2 ? VECTORS : VECTORS / 2)

VLM_INLINE void thin(const tile_run *run, float *sums, const bool is_far, const int rows) {
  const uint8_t *block = run->w;
  row_pointers at = row_pointers_at(run->x, run->x_stride, rows);
  for (int64_t g = 0; g < run->groups; g++, block += vlm_int4_block_bytes(run->group)) {
    const char *scales = (const char *)block_scales(block, run->group);
    prefetch_line(scales, &run->stream, is_far);
    prefetch_line(scales + 64, &run->stream, is_far);
#pragma clang loop unroll(full)
    for (int n = 0; n < VECTORS; n += VECTORS_OF(rows)) tile(run, block, at, n, VECTORS_OF(rows), sums, false, is_far, rows);
    row_pointers_advance(&at, vlm_i8_group_bytes(run->group), rows);
  }
}

VLM_INLINE void tall(const tile_run *run, float *sums, const int rows) {
  row_pointers at = row_pointers_at(run->x, run->x_stride, rows);
#pragma clang loop unroll(full)
  for (int n = 0; n < VECTORS; n += VECTORS_OF(rows)) tile(run, run->w, at, n, VECTORS_OF(rows), sums, true, false, rows);
}

#define TILES(DO) DO(1) DO(2) DO(3) DO(4)
#include "../vectors/linear_int4_int8_tiles.inl"

// Splits the codes of a group.
static void split(const tile_run *run, uint8_t *y) {
  for (int64_t k = 0; k < run->group; k += CHUNK, y += 4 * STEP_BYTES)
    for (int o = 0; o < STEP_BYTES; o += 16) {
      int8x16_t w[4];
      load_weights(run->w + k * (VLM_PANEL / 2) + o, w, false);
      for (int i = 0; i < 4; i++) vst1q_s8((int8_t *)y + i * STEP_BYTES + o, w[i]);
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
