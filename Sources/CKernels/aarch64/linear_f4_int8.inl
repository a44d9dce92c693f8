// e2m1 layers over rows of int8: a tile is up to TILE_ROWS rows × 8 of a panel's 32 outputs, × 16 where there are many rows, or two rows × 32. Numbers are signed bytes, so
// nothing is added to them, and what a row's dot begins with is not read.

enum { TILE_ROWS = 4, INPUTS = 1024 };

VLM_INLINE float32x4_t four_scales(const uint8_t *codes, const int group) {
  uint32_t bytes;
  __builtin_memcpy(&bytes, codes, 4);
  const uint8x8_t v = vreinterpret_u8_u32(vdup_n_u32(bytes));
  if (group != 16) return vreinterpretq_f32_u32(vshlq_n_u32(vmovl_u16(vget_low_u16(vmovl_u8(v))), 23));
  const int16x4_t words = vshl_n_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u8(v))), 7);
  return vcvt_f32_f16(vreinterpret_f16_u16(vand_u16(vreinterpret_u16_s16(words), vdup_n_u16(0xbf80))));
}

// The unit's bits of the scales of outputs o ..< o + 4 of a block; see vlm_f4_unit.
VLM_INLINE uint32x4_t block_unit(const uint8_t *scales, const int o, const int group) {
  float32x4_t greatest = vdupq_n_f32(0);
#pragma clang loop unroll(full)
  for (int g = 0; g < VLM_F4_BLOCK / group; g++) greatest = vmaxq_f32(greatest, vabsq_f32(four_scales(scales + g * VLM_PANEL + o, group)));
  const uint32x4_t power = vandq_u32(vreinterpretq_u32_f32(greatest), vdupq_n_u32(0x7f800000));
  return vsubq_u32(vmaxq_u32(power, vdupq_n_u32(13 << 23)), vdupq_n_u32(12 << 23));
}

// A group's scales in their unit; 0 where they are no numbers.
VLM_INLINE int32x4_t factor(const uint8_t *scales, uint32x4_t unit, const int group) {
  const float32x4_t inverse = vreinterpretq_f32_u32(vsubq_u32(vdupq_n_u32(254u << 23), unit)), v = vmulq_f32(four_scales(scales, group), inverse);
  return vandq_s32(vcvtnq_s32_f32(v), vreinterpretq_s32_u32(vcaltq_f32(v, vdupq_n_f32(8192))));
}

// The weights of 4 outputs: twice the numbers of four inputs each.
VLM_INLINE void load_weights(const uint8_t *codes, int8x16_t w[4], const bool is_unpacked) {
  static const int8_t twice[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
#pragma clang loop unroll(full)
  for (int i = 0; i < 2; i++) {
    if (is_unpacked) {
      w[2 * i] = vld1q_s8((const int8_t *)codes + 2 * i * STEP_BYTES);
      w[2 * i + 1] = vld1q_s8((const int8_t *)codes + (2 * i + 1) * STEP_BYTES);
    } else {
      const uint8x16_t v = vld1q_u8(codes + i * STEP_BYTES);
      w[2 * i] = vqtbl1q_s8(vld1q_s8(twice), vandq_u8(v, vdupq_n_u8(15)));
      w[2 * i + 1] = vqtbl1q_s8(vld1q_s8(twice), vshrq_n_u8(v, 4));
    }
  }
}

// sums += x.scale · total · scale with every product rounded, of 4 outputs.
VLM_INLINE void add_totals(const tile_run *run, const int32x4_t total[], float32x4_t scale, const int o, float *sums, const int rows) {
  row_pointers at = row_pointers_at(run->x, run->x_stride, rows);
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++) {
    const float x_scale = float_at(row_pointer(&at, run->x_stride, m, offsetof(vlm_f4_row_block, scale)));
    float *sum = sums + m * VLM_PANEL + o;
    vst1q_f32(sum, vaddq_f32(vld1q_f32(sum), vmulq_f32(vmulq_n_f32(vcvtq_f32_s32(total[m]), x_scale), scale)));
  }
}

// The vectors n ..< n + vectors, which take turns dot by dot, so that memory is read in its order.
VLM_INLINE void outputs(const tile_run *run, const int n, const int vectors, float *sums, const bool is_unpacked, const int group, const int rows) {
  row_pointers at = row_pointers_at(run->x, run->x_stride, rows);
  uint32x4_t unit[VECTORS];
  int32x4_t total[VECTORS][TILE_ROWS];
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) {
    if (!is_unpacked) unit[v] = block_unit(run->scales, LANES * (n + v), group);
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) total[v][m] = vdupq_n_s32(0);
  }
  const uint8_t *w = (is_unpacked ? run->w->u8 : run->codes) + 16 * n;
  for (int64_t d = 0; d < run->dots; d++, w += is_unpacked ? 4 * STEP_BYTES : 2 * STEP_BYTES, row_pointers_advance(&at, sizeof(vlm_f4_dot), rows)) {
    const int64_t first = d * VLM_F4_DOT / group * VLM_PANEL + LANES * n;
    int8x16_t x[TILE_ROWS];
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) x[m] = vld1q_s8(row_pointer(&at, run->x_stride, m, 0));
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) {
      if (!is_unpacked && v % 2 == 0) prefetch_line(w + 16 * (n + 2 * v), &run->stream, run->is_far);
      const int32x4_t by = is_unpacked ? vld1q_s32(run->w->factors + first + LANES * v) : factor(run->scales + first + LANES * v, unit[v], group);
      int8x16_t part[4];
      load_weights(w + 16 * v, part, is_unpacked);
#pragma clang loop unroll(full)
      for (int m = 0; m < rows; m++) {
        int32x4_t dot = vdupq_n_s32(0);
#pragma clang loop unroll(full)
        for (int i = 0; i < 4; i++) dot = add_dots(dot, part[i], x[m], i);
        total[v][m] = vmlaq_s32(total[v][m], dot, by);
      }
    }
  }
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) {
    const int o = LANES * (n + v);
    const float32x4_t scale = is_unpacked ? vld1q_f32(run->w->scale + o) : vmulq_f32(vreinterpretq_f32_u32(unit[v]), vld1q_f32(run->outputs + o));
    add_totals(run, total[v], scale, o, sums, rows);
  }
}

VLM_INLINE void tile(const tile_run *run, float *sums, const bool is_unpacked, const int group, const int rows) {
  const int vectors = rows <= 2 ? VECTORS : is_unpacked ? 4 : 2;
#pragma clang loop unroll(full)
  for (int n = 0; n < VECTORS; n += vectors) {
    if (!is_unpacked) prefetch_line(run->scales + 32 * n, &run->stream, run->is_far);
    outputs(run, n, vectors, sums, is_unpacked, group, rows);
  }
}

static void unpack(const tile_run *run, unpacked *y, int64_t group) {
  for (int o = 0; o < VLM_PANEL; o += LANES) {
    const uint32x4_t unit = group == 16 ? block_unit(run->scales, o, 16) : block_unit(run->scales, o, 32);
    vst1q_f32(y->scale + o, vmulq_f32(vreinterpretq_f32_u32(unit), vld1q_f32(run->outputs + o)));
    for (int64_t i = o; i < VLM_F4_BLOCK / group * VLM_PANEL; i += VLM_PANEL)
      vst1q_s32(y->factors + i, group == 16 ? factor(run->scales + i, unit, 16) : factor(run->scales + i, unit, 32));
    for (int64_t d = 0; d < run->dots; d++) {
      int8x16_t w[4];
      load_weights(run->codes + 2 * d * STEP_BYTES + 4 * o, w, false);
      for (int i = 0; i < 4; i++) vst1q_s8((int8_t *)y->u8 + (4 * d + i) * STEP_BYTES + 4 * o, w[i]);
    }
  }
}

#define TILES(DO, GROUP) DO(GROUP, 1) DO(GROUP, 2) DO(GROUP, 3) DO(GROUP, 4)
#include "../vectors/linear_f4_int8_tiles.inl"
