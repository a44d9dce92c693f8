#include "math_scalar.h"

// bias, activation and residual of one row of one panel.
static void finish(const vlm_linear_args *a, int64_t row, int64_t panel, const float *sum) {
  int64_t first = panel * VLM_PANEL, count = vlm_min(VLM_PANEL, a->outputs - first);
  float *y = a->y + row * a->y_stride + first;
  for (int64_t o = 0; o < count; o++) {
    float value = vlm_activate1(a->activation, sum[o] + (a->bias ? a->bias[first + o] : 0));
    y[o] = value + (a->residual ? a->residual[row * a->residual_stride + first + o] : 0);
  }
}

void vlm_linear_bf16_f32_generic(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  (void)scratch;
  for (int64_t p = begin; p < end; p++) {
    const uint16_t *w = (const uint16_t *)((const char *)a->weight + (size_t)p * vlm_panel_bytes(VLM_WEIGHT_BF16, a->inputs, 0));
    for (int64_t t = 0; t < a->rows; t++) {
      float sum[VLM_PANEL] = {0};
      for (int64_t k = 0; k < a->inputs; k++) {
        float x = a->x[t * a->x_stride + k];
        const uint16_t *pair = w + k / 2 * 2 * VLM_PANEL + k % 2;
        for (int o = 0; o < VLM_PANEL; o++) sum[o] += x * vlm_from_bf16(pair[2 * o]);
      }
      finish(a, t, p, sum);
    }
  }
}

void vlm_linear_bf16_bf16_generic(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  (void)scratch;
  int64_t stride = vlm_bf16_row(a->inputs);
  for (int64_t p = begin; p < end; p++) {
    const uint16_t *w = (const uint16_t *)((const char *)a->weight + (size_t)p * vlm_panel_bytes(VLM_WEIGHT_BF16, a->inputs, 0));
    for (int64_t t = 0; t < a->rows; t++) {
      const uint16_t *row = (const uint16_t *)a->packed + t * stride;
      float sum[VLM_PANEL] = {0};
      for (int64_t k = 0; k < a->inputs; k++) {
        float x = vlm_from_bf16(row[k]);
        const uint16_t *pair = w + k / 2 * 2 * VLM_PANEL + k % 2;
        for (int o = 0; o < VLM_PANEL; o++) sum[o] += x * vlm_from_bf16(pair[2 * o]);
      }
      finish(a, t, p, sum);
    }
  }
}

// The integer sums of VLM_PANEL outputs over `count` inputs of a block, and the scales of the outputs.
static void i16_block(const uint16_t *w, const int16_t *q, int64_t count, int32_t dots[], float scales[]) {
  for (int o = 0; o < VLM_PANEL; o++) {
    uint32_t greatest = 0;
    for (int64_t k = 0; k < count; k++) greatest = (uint32_t)vlm_max(greatest, (w[k / 2 * 2 * VLM_PANEL + 2 * o + k % 2] & 0x7fff));
    const vlm_i16_rounding r = vlm_i16_rounding_of(greatest << 16);
    dots[o] = 0;
    for (int64_t k = 0; k < count; k++) dots[o] += q[k] * vlm_i16_code(vlm_from_bf16(w[k / 2 * 2 * VLM_PANEL + 2 * o + k % 2]), r.inverse);
    scales[o] = r.scale;
  }
}

void vlm_linear_bf16_int16_generic(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  (void)scratch;
  const int64_t stride = (int64_t)vlm_row_bytes(VLM_ROWS_INT16_BLOCKS, a->inputs, 0);
  for (int64_t p = begin; p < end; p++) {
    const uint16_t *w = (const uint16_t *)((const char *)a->weight + (size_t)p * vlm_panel_bytes(VLM_WEIGHT_BF16, a->inputs, 0));
    for (int64_t t = 0; t < a->rows; t++) {
      const char *row = (const char *)a->packed + t * stride;
      const float *x_scale = (const float *)(row + vlm_i16_code_bytes(a->inputs));
      float sum[VLM_PANEL] = {0};
      for (int64_t k = 0; k < a->inputs; k += VLM_I16_BLOCK, x_scale++) {
        int32_t dots[VLM_PANEL];
        float scales[VLM_PANEL];
        i16_block(w + k * VLM_PANEL, (const int16_t *)row + k, vlm_min(VLM_I16_BLOCK, a->inputs - k), dots, scales);
        for (int o = 0; o < VLM_PANEL; o++) {
          // The products of f32 are rounded one by one, as vectors round them.
          const float scale = *x_scale * scales[o], product = (float)dots[o] * scale;
          sum[o] += product;
        }
      }
      finish(a, t, p, sum);
    }
  }
}

void vlm_linear_f32_f32_generic(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  (void)scratch;
  for (int64_t p = begin; p < end; p++) {
    const float *w = (const float *)a->weight + p * a->inputs * VLM_PANEL;
    for (int64_t t = 0; t < a->rows; t++) {
      float sum[VLM_PANEL] = {0};
      for (int64_t k = 0; k < a->inputs; k++)
        for (int o = 0; o < VLM_PANEL; o++) sum[o] += a->x[t * a->x_stride + k] * w[k * VLM_PANEL + o];
      finish(a, t, p, sum);
    }
  }
}

void vlm_linear_int4_f32_generic(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  (void)scratch;
  int64_t groups = a->inputs / a->group, bytes = (int64_t)vlm_int4_block_bytes(a->group);
  for (int64_t p = begin; p < end; p++)
    for (int64_t t = 0; t < a->rows; t++) {
      float sum[VLM_PANEL] = {0};
      for (int64_t g = 0; g < groups; g++) {
        const uint8_t *block = (const uint8_t *)a->weight + (p * groups + g) * bytes;
        const uint16_t *scale = (const uint16_t *)(block + a->group * VLM_PANEL / 2), *zero = scale + VLM_PANEL;
        const float *x = a->x + t * a->x_stride + g * a->group;
        for (int o = 0; o < VLM_PANEL; o++) {
          float dot = 0, z = vlm_from_f16(zero[o]);
          for (int64_t k = 0; k < a->group; k++) dot += x[k] * ((float)vlm_nibble(block, o, k) - z);
          sum[o] += dot * vlm_from_f16(scale[o]);
        }
      }
      finish(a, t, p, sum);
    }
}

void vlm_linear_int4_int8_generic(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  (void)scratch;
  int64_t groups = a->inputs / a->group, bytes = (int64_t)vlm_int4_block_bytes(a->group);
  int64_t step = vlm_i8_group_bytes(a->group), stride = (int64_t)vlm_row_bytes(VLM_ROWS_INT8, a->inputs, a->group);
  for (int64_t p = begin; p < end; p++)
    for (int64_t t = 0; t < a->rows; t++) {
      float sum[VLM_PANEL] = {0};
      for (int64_t g = 0; g < groups; g++) {
        const uint8_t *block = (const uint8_t *)a->weight + (p * groups + g) * bytes;
        const uint16_t *scale = (const uint16_t *)(block + a->group * VLM_PANEL / 2), *zero = scale + VLM_PANEL;
        const int8_t *q = (const int8_t *)a->packed + t * stride + g * step;
        vlm_i8_tail x = vlm_i8_tail_at(q + a->group);
        for (int o = 0; o < VLM_PANEL; o++) {
          int32_t dot = 0;
          for (int64_t k = 0; k < a->group; k++) dot += q[k] * (int)vlm_nibble(block, o, k);
          dot -= (int32_t)vlm_from_f16(zero[o]) * x.sum;
          sum[o] += vlm_from_f16(scale[o]) * ((float)dot * x.scale);
        }
      }
      finish(a, t, p, sum);
    }
}

// The scales of the block of input k of an output, as whole multiples of the unit that is returned.
static float f4_factors(const uint8_t *panel, int64_t group, int lane, int64_t k, int32_t factors[]) {
  uint32_t greatest = 0;
  float scales[VLM_F4_BLOCK / VLM_F4_DOT];
  for (int64_t g = 0; g < VLM_F4_BLOCK / group; g++) {
    scales[g] = vlm_f4_scale_of_group(panel[vlm_f4_scales_at(k + g * group, group) + lane], group);
    greatest = vlm_max(greatest, vlm_bits(scales[g]) & 0x7fffffff);
  }
  const uint32_t unit = vlm_f4_unit(greatest);
  for (int64_t g = 0; g < VLM_F4_BLOCK / group; g++) {
    const float whole = vlm_round1(scales[g] * vlm_from_bits(vlm_f4_inverse(unit)));
    factors[g] = vlm_abs1(whole) < 8192 ? (int32_t)whole : 0;
  }
  return vlm_from_bits(unit);
}

void vlm_linear_f4_int8_generic(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  (void)scratch;
  const size_t stride = vlm_row_bytes(VLM_ROWS_INT8_BLOCKS, a->inputs, 0);
  for (int64_t p = begin; p < end; p++) {
    const uint8_t *panel = (const uint8_t *)a->weight + (size_t)p * vlm_panel_bytes(VLM_WEIGHT_F4, a->inputs, a->group);
    for (int64_t t = 0; t < a->rows; t++) {
      const vlm_f4_row_block *x = (const vlm_f4_row_block *)((const char *)a->packed + (size_t)t * stride);
      float sum[VLM_PANEL] = {0};
      for (int64_t block = 0; block < a->inputs; block += VLM_F4_BLOCK, x++)
        for (int o = 0; o < VLM_PANEL; o++) {
          int32_t factors[VLM_F4_BLOCK / VLM_F4_DOT], total = 0;
          const float unit = f4_factors(panel, a->group, o, block, factors) * ((const float *)panel)[o];
          for (int64_t k = 0; k < vlm_min(VLM_F4_BLOCK, a->inputs - block); k++)
            total += x->dots[k / VLM_F4_DOT].q[k % VLM_F4_DOT] * vlm_f4_twice(panel, a->group, o, block + k) * factors[k / a->group];
          // The products of f32 are rounded one by one, as vectors round them.
          float part = (float)total * x->scale;
          part *= unit;
          sum[o] += part;
        }
      finish(a, t, p, sum);
    }
  }
}

void vlm_linear_f4_f32_generic(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  (void)scratch;
  for (int64_t p = begin; p < end; p++) {
    const uint8_t *panel = (const uint8_t *)a->weight + (size_t)p * vlm_panel_bytes(VLM_WEIGHT_F4, a->inputs, a->group);
    for (int64_t t = 0; t < a->rows; t++) {
      float sum[VLM_PANEL] = {0};
      for (int64_t k = 0; k < a->inputs; k++)
        for (int o = 0; o < VLM_PANEL; o++) {
          float w = (float)vlm_f4_twice(panel, a->group, o, k) * vlm_f4_scale(panel, a->group, o, k);
          sum[o] += a->x[t * a->x_stride + k] * w;
        }
      finish(a, t, p, sum);
    }
  }
}

// In f32, or with rows and weights rounded to bf16.
static void f8_generic(const vlm_linear_args *a, int64_t begin, int64_t end, const bool bf16) {
  for (int64_t p = begin; p < end; p++)
    for (int64_t t = 0; t < a->rows; t++) {
      const uint8_t *panel = (const uint8_t *)a->weight + (size_t)p * vlm_panel_bytes(VLM_WEIGHT_F8, a->inputs, a->group);
      float sum[VLM_PANEL] = {0};
      for (int64_t k = 0; k < a->inputs; k++) {
        float x = bf16 ? vlm_from_bf16(((const uint16_t *)a->packed)[t * vlm_bf16_row(a->inputs) + k]) : a->x[t * a->x_stride + k];
        for (int o = 0; o < VLM_PANEL; o++) {
          float w = vlm_f8_value(panel + k / a->group * vlm_f8_block_bytes(a->group), o, k % a->group);
          sum[o] += x * (bf16 ? vlm_from_bf16(vlm_to_bf16(w)) : w);
        }
      }
      finish(a, t, p, sum);
    }
}

void vlm_linear_f8_f32_generic(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  (void)scratch;
  f8_generic(a, begin, end, false);
}

void vlm_linear_f8_bf16_generic(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  (void)scratch;
  f8_generic(a, begin, end, true);
}

void vlm_linear_int8_f32_generic(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  (void)scratch;
  const int64_t panel_bytes = (int64_t)vlm_panel_bytes(VLM_WEIGHT_INT8, a->inputs, a->group), bytes = vlm_int8_block_bytes(a->group);
  for (int64_t p = begin; p < end; p++)
    for (int64_t t = 0; t < a->rows; t++) {
      float sum[VLM_PANEL] = {0};
      for (int64_t k = 0; k < a->inputs; k++) {
        const uint8_t *block = (const uint8_t *)a->weight + p * panel_bytes + k / a->group * bytes;
        const uint8_t *codes = block + k % a->group / 4 * (VLM_PANEL * 4) + k % 4;
        const vlm_int8_tail *tail = (const vlm_int8_tail *)(block + a->group * VLM_PANEL);
        for (int o = 0; o < VLM_PANEL; o++)
          sum[o] += a->x[t * a->x_stride + k] * ((float)(codes[4 * o] - tail->zero[o]) * tail->scale[o]);
      }
      finish(a, t, p, sum);
    }
}

void vlm_linear_int8_int8_generic(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  (void)scratch;
  const int64_t groups = a->inputs / a->group, bytes = vlm_int8_block_bytes(a->group);
  const int64_t step = vlm_i8_group_bytes(a->group), stride = (int64_t)vlm_row_bytes(VLM_ROWS_INT8, a->inputs, a->group);
  for (int64_t p = begin; p < end; p++)
    for (int64_t t = 0; t < a->rows; t++) {
      float sum[VLM_PANEL] = {0};
      for (int64_t g = 0; g < groups; g++) {
        const uint8_t *block = (const uint8_t *)a->weight + (p * groups + g) * bytes;
        const vlm_int8_tail *tail = (const vlm_int8_tail *)(block + a->group * VLM_PANEL);
        const int8_t *q = (const int8_t *)a->packed + t * stride + g * step;
        vlm_i8_tail x = vlm_i8_tail_at(q + a->group);
        for (int o = 0; o < VLM_PANEL; o++) {
          int32_t dot = 0;
          for (int64_t k = 0; k < a->group; k++) dot += q[k] * (block[k / 4 * (VLM_PANEL * 4) + 4 * o + k % 4] - tail->zero[o]);
          // The products of f32 are rounded one by one, as vectors round them.
          float part = (float)dot * x.scale;
          part *= tail->scale[o];
          sum[o] += part;
        }
      }
      finish(a, t, p, sum);
    }
}
