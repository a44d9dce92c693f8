#include "internal.h"
#include "screen.h"

int64_t vlm_panels(int64_t outputs) { return outputs <= 0 ? 0 : (outputs - 1) / VLM_PANEL + 1; }

static bool valid_group(int64_t inputs, int64_t group) {
  return (group == 32 || group == 64 || group == 128) && inputs % group == 0;
}

static bool valid_int8_group(int64_t inputs, int64_t group) {
  return inputs <= 1 << 16 && (valid_group(inputs, group) || (group == inputs && inputs % 16 == 0));
}

static bool valid_shape(vlm_weight_format format, int64_t outputs, int64_t inputs, int64_t group) {
  const int64_t limit = INT64_C(1) << 31;
  if (outputs <= 0 || inputs <= 0 || outputs > limit || inputs > limit || outputs > (INT64_C(1) << 50) / inputs) return false;
  switch (format) {
    case VLM_WEIGHT_BF16: case VLM_WEIGHT_F32: return true;
    case VLM_WEIGHT_INT4: return valid_group(inputs, group);
    case VLM_WEIGHT_INT8: return valid_int8_group(inputs, group);
    case VLM_WEIGHT_F8: return group == 16 || valid_group(group, group);
    case VLM_WEIGHT_F4: return (group == 16 || group == 32) && inputs % group == 0;
    case VLM_WEIGHT_SCREEN: return inputs <= VLM_SCREEN_INPUTS;
  }
  return false;
}

// Whether outputs first ..< first + count are some of `outputs`.
static bool valid_range(int64_t outputs, int64_t first, int64_t count) { return first >= 0 && count >= 0 && count <= outputs - first; }

size_t vlm_int4_block_bytes(int64_t group) { return (size_t)(group * VLM_PANEL / 2) + VLM_PANEL * 4; }

size_t vlm_panel_bytes(vlm_weight_format format, int64_t inputs, int64_t group) {
  if (!valid_shape(format, VLM_PANEL, inputs, group)) return 0;
  switch (format) {
    case VLM_WEIGHT_BF16: return (size_t)vlm_ceil_div(inputs, 2) * VLM_PANEL * 4;
    case VLM_WEIGHT_F32: return (size_t)inputs * VLM_PANEL * 4;
    case VLM_WEIGHT_INT4: return (size_t)(inputs / group) * vlm_int4_block_bytes(group);
    case VLM_WEIGHT_INT8: return (size_t)(inputs / group * vlm_int8_block_bytes(group));
    case VLM_WEIGHT_F8: return (size_t)(vlm_ceil_div(inputs, group) * VLM_F8_SCALE_BYTES + inputs * VLM_PANEL);
    case VLM_WEIGHT_F4: return (size_t)vlm_f4_codes_at(inputs - 8, group) + VLM_PANEL * 4;
    case VLM_WEIGHT_SCREEN: return (size_t)vlm_screen_panel_bytes(inputs);
  }
  return 0;
}

size_t vlm_weight_bytes(vlm_weight_format format, int64_t outputs, int64_t inputs, int64_t group) {
  if (!valid_shape(format, outputs, inputs, group)) return 0;
  return (size_t)vlm_panels(outputs) * vlm_panel_bytes(format, inputs, group);
}

static float source_value(vlm_dtype type, const void *row, int64_t k) {
  switch (type) {
    case VLM_F32: return ((const float *)row)[k];
    case VLM_BF16: return vlm_from_bf16(((const uint16_t *)row)[k]);
    case VLM_F16: return vlm_from_f16(((const uint16_t *)row)[k]);
  }
  return 0;
}

static void pack_row_bf16(uint16_t *column, vlm_dtype type, const void *row, int64_t inputs) {
  for (int64_t k = 0; k < inputs; k++) {
    uint16_t value = type == VLM_BF16 ? ((const uint16_t *)row)[k] : vlm_to_bf16(source_value(type, row, k));
    column[(k / 2) * 2 * VLM_PANEL + k % 2] = value;
  }
  if (inputs % 2) column[(inputs / 2) * 2 * VLM_PANEL + 1] = 0;
}

// A whole panel of bf16 rows at once, written in order.
static void pack_panel_bf16(uint32_t *panel, const uint16_t *rows, int64_t stride, int64_t inputs) {
  for (int64_t k = 0; k + 2 <= inputs; k += 2, panel += VLM_PANEL)
    for (int o = 0; o < VLM_PANEL; o++) __builtin_memcpy(panel + o, rows + o * stride + k, sizeof *panel);
  for (int o = 0; o < VLM_PANEL && inputs % 2; o++) panel[o] = rows[o * stride + inputs - 1];
}

static void pack_row_f32(float *column, vlm_dtype type, const void *row, int64_t inputs) {
  for (int64_t k = 0; k < inputs; k++) column[k * VLM_PANEL] = source_value(type, row, k);
}

// The address of output `o` in its panel: the first of its values.
static char *output_address(vlm_weight_format format, void *packed, size_t panel_bytes, int64_t o) {
  size_t element = format == VLM_WEIGHT_F32 || format == VLM_WEIGHT_BF16 ? 4 : 0;
  return (char *)packed + (size_t)(o / VLM_PANEL) * panel_bytes + (size_t)(o % VLM_PANEL) * element;
}

static void zero_output(vlm_weight_format format, void *packed, size_t panel_bytes, int64_t o) {
  char *p = output_address(format, packed, panel_bytes, o);
  for (size_t step = 0; step < panel_bytes; step += VLM_PANEL * 4) __builtin_memset(p + step, 0, 4);
}

// Rows for screening; a padding output is one of zeros.
static void pack_rows_int8(const vlm_pack_rows_args *a) {
  size_t panel_bytes = vlm_panel_bytes(VLM_WEIGHT_SCREEN, a->inputs, 0), element = a->source_type == VLM_F32 ? 4 : 2;
  for (int64_t i = 0; i < a->count; i++) {
    int64_t o = a->first + i;
    const char *row = (const char *)a->source + i * a->source_stride * (int64_t)element;
    vlm_screen_pack_output((char *)a->packed + (size_t)(o / VLM_PANEL) * panel_bytes, o % VLM_PANEL, a->source_type, row, a->inputs);
  }
  if (a->count > 0 && a->first + a->count == a->outputs)
    for (int64_t o = a->outputs; o < vlm_panels(a->outputs) * VLM_PANEL; o++)
      vlm_screen_pack_output((char *)a->packed + (size_t)(o / VLM_PANEL) * panel_bytes, o % VLM_PANEL, a->source_type, NULL, a->inputs);
}

vlm_status vlm_pack_rows(const vlm_pack_rows_args *a) {
  if (a->format != VLM_WEIGHT_BF16 && a->format != VLM_WEIGHT_F32 && a->format != VLM_WEIGHT_SCREEN) return VLM_BAD_SHAPE;
  if (!valid_shape(a->format, a->outputs, a->inputs, 0)) return VLM_BAD_SHAPE;
  if (!valid_range(a->outputs, a->first, a->count)) return VLM_BAD_SHAPE;
  if (a->source_type != VLM_F32 && a->source_type != VLM_BF16 && a->source_type != VLM_F16) return VLM_BAD_SHAPE;
  if (a->format == VLM_WEIGHT_SCREEN) {
    pack_rows_int8(a);
    return VLM_OK;
  }
  size_t panel_bytes = vlm_panel_bytes(a->format, a->inputs, 0), element = a->source_type == VLM_F32 ? 4 : 2;
  bool copies = a->format == VLM_WEIGHT_BF16 && a->source_type == VLM_BF16;
  for (int64_t i = 0; i < a->count; i++) {
    const char *row = (const char *)a->source + i * a->source_stride * (int64_t)element;
    char *column = output_address(a->format, a->packed, panel_bytes, a->first + i);
    if (copies && (a->first + i) % VLM_PANEL == 0 && a->count - i >= VLM_PANEL) {
      pack_panel_bf16((uint32_t *)column, (const uint16_t *)row, a->source_stride, a->inputs);
      i += VLM_PANEL - 1;
    } else if (a->format == VLM_WEIGHT_BF16) {
      pack_row_bf16((uint16_t *)column, a->source_type, row, a->inputs);
    } else {
      pack_row_f32((float *)column, a->source_type, row, a->inputs);
    }
  }
  if (a->count > 0 && a->first + a->count == a->outputs)
    for (int64_t o = a->outputs; o < vlm_panels(a->outputs) * VLM_PANEL; o++) zero_output(a->format, a->packed, panel_bytes, o);
  return VLM_OK;
}

// One output of an int4 weight: where its nibbles, scale and zero of a block lie.
typedef struct {
  uint8_t *block;
  int64_t group, lane;
} int4_output;

static int4_output int4_block(void *packed, int64_t inputs, int64_t group, int64_t o, int64_t g) {
  size_t bytes = vlm_int4_block_bytes(group), panel = (size_t)(inputs / group) * bytes;
  return (int4_output){(uint8_t *)packed + (size_t)(o / VLM_PANEL) * panel + (size_t)g * bytes, group, o % VLM_PANEL};
}

static void int4_set_scale(int4_output b, uint16_t scale, uint16_t zero) {
  uint16_t *tail = (uint16_t *)(b.block + b.group * VLM_PANEL / 2);
  tail[b.lane] = scale;
  tail[VLM_PANEL + b.lane] = zero;
}

// Byte of inputs k and k + 4, k % 8 < 4, of the block.
static uint8_t *int4_byte(int4_output b, int64_t k) { return b.block + k / 8 * (VLM_PANEL * 4) + b.lane * 4 + k % 4; }

static void int4_pad(void *packed, int64_t outputs, int64_t inputs, int64_t group) {
  for (int64_t o = outputs; o < vlm_panels(outputs) * VLM_PANEL; o++)
    for (int64_t g = 0; g < inputs / group; g++) {
      int4_output b = int4_block(packed, inputs, group, o, g);
      for (int64_t k = 0; k < group; k += 8)
        for (int64_t j = 0; j < 4; j++) *int4_byte(b, k + j) = 0;
      int4_set_scale(b, 0, 0);
    }
}

vlm_status vlm_pack_int4(const vlm_pack_int4_args *a) {
  if (!valid_shape(VLM_WEIGHT_INT4, a->outputs, a->inputs, a->group)) return VLM_BAD_SHAPE;
  if (!valid_range(a->outputs, a->first, a->count)) return VLM_BAD_SHAPE;
  int64_t groups = a->inputs / a->group;
  for (int64_t i = 0; i < a->count; i++)
    for (int64_t g = 0; g < groups; g++) {
      int4_output b = int4_block(a->packed, a->inputs, a->group, a->first + i, g);
      const uint8_t *q = a->q + i * a->inputs + g * a->group;
      for (int64_t k = 0; k < a->group; k += 8)
        for (int64_t j = 0; j < 4; j++) *int4_byte(b, k + j) = (uint8_t)((q[k + j] & 15) | (q[k + 4 + j] & 15) << 4);
      int4_set_scale(b, a->scales[i * groups + g], vlm_small_to_f16(a->zeros[i * groups + g] & 15));
    }
  if (a->count > 0 && a->first + a->count == a->outputs) int4_pad(a->packed, a->outputs, a->inputs, a->group);
  return VLM_OK;
}

// One output's codes, scales and zeros of each block; without a source those of padding.
static void pack_int8_row(const vlm_pack_int8_args *a, int64_t o, const uint8_t *codes, const float *scales, const uint16_t *zeros) {
  const int64_t lane = o % VLM_PANEL;
  uint8_t *block = (uint8_t *)a->packed + (size_t)(o / VLM_PANEL) * vlm_panel_bytes(VLM_WEIGHT_INT8, a->inputs, a->group);
  for (int64_t g = 0; g < a->inputs / a->group; g++, block += sizeof(vlm_int8_tail)) {
    for (int64_t k = g * a->group; k < (g + 1) * a->group; k += 4, block += VLM_PANEL * 4) {
      if (codes) __builtin_memcpy(block + lane * 4, codes + k, 4);
      else __builtin_memset(block + lane * 4, 0, 4);
    }
    vlm_int8_tail *tail = (vlm_int8_tail *)block;
    tail->scale[lane] = scales ? scales[g] : 0;
    tail->zero[lane] = zeros ? zeros[g] : 0;
  }
}

vlm_status vlm_pack_int8(const vlm_pack_int8_args *a) {
  if (!valid_shape(VLM_WEIGHT_INT8, a->outputs, a->inputs, a->group)) return VLM_BAD_SHAPE;
  if (!valid_range(a->outputs, a->first, a->count)) return VLM_BAD_SHAPE;
  int64_t groups = a->inputs / a->group;
  for (int64_t i = 0; i < a->count * groups; i++)
    if (a->zeros[i] > 256) return VLM_BAD_SHAPE;
  for (int64_t i = 0; i < a->count; i++)
    pack_int8_row(a, a->first + i, a->codes + i * a->inputs, a->scales + i * groups, a->zeros + i * groups);
  if (a->count > 0 && a->first + a->count == a->outputs)
    for (int64_t o = a->outputs; o < vlm_panels(a->outputs) * VLM_PANEL; o++) pack_int8_row(a, o, NULL, NULL, NULL);
  return VLM_OK;
}

// One output's codes and scales of each block; without a source those of padding.
static void pack_f8_row(const vlm_pack_f8_args *a, int64_t o, const uint8_t *codes, const float *scales) {
  const int64_t lane = o % VLM_PANEL;
  uint8_t *block = (uint8_t *)a->packed + (size_t)(o / VLM_PANEL) * vlm_panel_bytes(VLM_WEIGHT_F8, a->inputs, a->group);
  for (int64_t k = 0; k < a->inputs; k += a->group, block += vlm_f8_block_bytes(a->group)) {
    uint8_t *to = block + VLM_F8_SCALE_BYTES + lane % (VLM_PANEL / 2) * 2 + lane / (VLM_PANEL / 2);
    float scale = scales ? scales[k / a->group] * 256 : 0;
    for (int64_t i = k; i < vlm_min(k + a->group, a->inputs); i++, to += VLM_PANEL) {
      *to = codes ? codes[i] : 0;
      if ((*to & 0x7f) == 0x7f) scale = vlm_from_bits(0x7fc00000);
    }
    ((float *)block)[lane] = scale;
  }
}

vlm_status vlm_pack_f8(const vlm_pack_f8_args *a) {
  if (!valid_shape(VLM_WEIGHT_F8, a->outputs, a->inputs, a->group) || !valid_range(a->outputs, a->first, a->count)) return VLM_BAD_SHAPE;
  int64_t groups = vlm_ceil_div(a->inputs, a->group);
  for (int64_t i = 0; i < a->count; i++) pack_f8_row(a, a->first + i, a->codes + i * a->inputs, a->scales + i * groups);
  if (a->count > 0 && a->first + a->count == a->outputs)
    for (int64_t o = a->outputs; o < vlm_panels(a->outputs) * VLM_PANEL; o++) pack_f8_row(a, o, NULL, NULL);
  return VLM_OK;
}

// Row i of the source as output o; without a row that of padding.
static void pack_f4_row(const vlm_pack_f4_args *a, int64_t o, int64_t i) {
  const int64_t lane = o % VLM_PANEL, groups = a->inputs / a->group, per_block = VLM_F4_BLOCK / a->group;
  const uint8_t *codes = i < 0 ? NULL : a->codes + i * (a->inputs / 2), *scales = i < 0 ? NULL : a->scales + i * groups;
  uint8_t *panel = (uint8_t *)a->packed + (size_t)(o / VLM_PANEL) * vlm_panel_bytes(VLM_WEIGHT_F4, a->inputs, a->group);
  for (int64_t k = 0; k < a->inputs; k += 8)
    for (int64_t j = 0; j < 4; j++) {
      unsigned low = codes ? codes[(k + j) / 2] >> j % 2 * 4 & 15 : 0, high = codes ? codes[(k + 4 + j) / 2] >> j % 2 * 4 & 15 : 0;
      panel[vlm_f4_codes_at(k, a->group) + lane * 4 + j] = (uint8_t)(low | high << 4);
    }
  float output = scales ? a->output_scales[i] * (a->group == 16 ? 128 : 0.5f) : 0;
  // A last block that is smaller has room for as many scales.
  for (int64_t g = 0; g < vlm_ceil_div(groups, per_block) * per_block; g++) {
    uint8_t scale = scales && g < groups ? scales[g] : 0;
    if (a->group == 16 ? (scale & 0x7f) == 0x7f : scale == 0xff) {
      output = vlm_from_bits(0x7fc00000);
      scale = 0;
    }
    panel[vlm_f4_scales_at(g * a->group, a->group) + lane] = scale;
  }
  ((float *)panel)[lane] = output;
}

vlm_status vlm_pack_f4(const vlm_pack_f4_args *a) {
  if (!valid_shape(VLM_WEIGHT_F4, a->outputs, a->inputs, a->group) || !valid_range(a->outputs, a->first, a->count)) return VLM_BAD_SHAPE;
  for (int64_t i = 0; i < a->count; i++) pack_f4_row(a, a->first + i, i);
  if (a->count > 0 && a->first + a->count == a->outputs)
    for (int64_t o = a->outputs; o < vlm_panels(a->outputs) * VLM_PANEL; o++) pack_f4_row(a, o, -1);
  return VLM_OK;
}

// The nibble of column c in its AWQ word.
static unsigned awq_shift(int64_t c) {
  static const uint8_t position[8] = {0, 4, 1, 5, 2, 6, 3, 7};
  return 4u * position[c % 8];
}

// Inputs k ..< k + 8 of one column: `words` is the word of the column in row k, rows are `stride` words apart.
static uint32_t awq_eight(const int32_t *words, int64_t stride, unsigned shift) {
  uint32_t packed = 0;
  for (int j = 0; j < 4; j++) {
    uint32_t low = (uint32_t)words[j * stride] >> shift & 15, high = (uint32_t)words[(j + 4) * stride] >> shift & 15;
    packed |= (low | high << 4) << 8 * j;
  }
  return packed;
}

vlm_status vlm_pack_awq(const vlm_pack_awq_args *a) {
  if (!valid_shape(VLM_WEIGHT_INT4, a->outputs, a->inputs, a->group)) return VLM_BAD_SHAPE;
  if (a->source_outputs % 8 || a->source_begin < 0 || a->source_end < a->source_begin || a->source_end > a->source_outputs)
    return VLM_BAD_SHAPE;
  int64_t count = a->source_end - a->source_begin, words = a->source_outputs / 8;
  if (a->first < 0 || count > a->outputs - a->first) return VLM_BAD_SHAPE;
  for (int64_t g = 0; g < a->inputs / a->group; g++) {
    const int32_t *q = a->qweight + g * a->group * words;
    for (int64_t c = a->source_begin; c < a->source_end; c++) {
      int4_output b = int4_block(a->packed, a->inputs, a->group, a->first + c - a->source_begin, g);
      unsigned shift = awq_shift(c);
      int64_t at = g * a->source_outputs + c;
      uint16_t zero = a->zeros ? a->zeros[at] : vlm_small_to_f16((uint32_t)a->qzeros[g * words + c / 8] >> shift & 15);
      int4_set_scale(b, a->scales[at], zero);
      for (int64_t k = 0; k < a->group; k += 8) {
        uint32_t eight = awq_eight(q + k * words + c / 8, words, shift);
        for (int j = 0; j < 4; j++) *int4_byte(b, k + j) = (uint8_t)(eight >> 8 * j);
      }
    }
  }
  if (count > 0 && a->first + count == a->outputs) int4_pad(a->packed, a->outputs, a->inputs, a->group);
  return VLM_OK;
}

static float screen_value(const vlm_unpack_rows_args *a, const char *panel, int64_t lane, int64_t k) {
  const vlm_screen_tail *tail = (const vlm_screen_tail *)(panel + vlm_screen_steps(a->inputs) * VLM_SCREEN_STEP);
  int q = ((const uint8_t *)panel)[k / 4 * VLM_SCREEN_STEP + lane * 4 + k % 4] - VLM_SCREEN_CENTRE;
  return (float)q * tail->scale[lane];
}

static float int4_value(const uint8_t *block, int64_t group, int64_t lane, int64_t k) {
  const uint16_t *tail = (const uint16_t *)(block + group * VLM_PANEL / 2);
  unsigned byte = block[k / 8 * (VLM_PANEL * 4) + lane * 4 + k % 4], q = k % 8 < 4 ? byte & 15 : byte >> 4;
  return ((float)q - vlm_from_f16(tail[VLM_PANEL + lane])) * vlm_from_f16(tail[lane]);
}

static float int8_value(const uint8_t *block, int64_t group, int64_t lane, int64_t k) {
  const vlm_int8_tail *tail = (const vlm_int8_tail *)(block + group * VLM_PANEL);
  return (float)(block[k / 4 * (VLM_PANEL * 4) + lane * 4 + k % 4] - tail->zero[lane]) * tail->scale[lane];
}

static float packed_value(const vlm_unpack_rows_args *a, const char *panel, int64_t lane, int64_t k) {
  switch (a->format) {
    case VLM_WEIGHT_BF16: return vlm_from_bf16(((const uint16_t *)panel)[(k / 2 * VLM_PANEL + lane) * 2 + k % 2]);
    case VLM_WEIGHT_F32: return ((const float *)panel)[k * VLM_PANEL + lane];
    case VLM_WEIGHT_INT4: {
      const uint8_t *block = (const uint8_t *)panel + (size_t)(k / a->group) * vlm_int4_block_bytes(a->group);
      return int4_value(block, a->group, lane, k % a->group);
    }
    case VLM_WEIGHT_F8: return vlm_f8_value((const uint8_t *)panel + k / a->group * vlm_f8_block_bytes(a->group), lane, k % a->group);
    case VLM_WEIGHT_F4:
      return (float)vlm_f4_twice((const uint8_t *)panel, a->group, lane, k) * vlm_f4_scale((const uint8_t *)panel, a->group, lane, k);
    case VLM_WEIGHT_SCREEN: return screen_value(a, panel, lane, k);
    case VLM_WEIGHT_INT8: return int8_value((const uint8_t *)panel + k / a->group * vlm_int8_block_bytes(a->group), a->group, lane, k % a->group);
  }
  return 0;
}

vlm_status vlm_unpack_rows(const vlm_unpack_rows_args *a, int64_t begin, int64_t end, vlm_isa isa) {
  (void)isa;
  if (!valid_shape(a->format, a->outputs, a->inputs, a->group)) return VLM_BAD_SHAPE;
  for (int64_t i = begin; i < end; i++)
    if (a->ids[i] < 0 || a->ids[i] >= a->outputs) return VLM_BAD_INDEX;
  size_t panel_bytes = vlm_panel_bytes(a->format, a->inputs, a->group);
  for (int64_t i = begin; i < end; i++) {
    const char *panel = (const char *)a->packed + (size_t)(a->ids[i] / VLM_PANEL) * panel_bytes;
    for (int64_t k = 0; k < a->inputs; k++) a->y[i * a->y_stride + k] = packed_value(a, panel, a->ids[i] % VLM_PANEL, k);
  }
  return VLM_OK;
}

// Two inputs of a bf16 panel side by side; the second row is NULL where only the first is wanted.
static void unpack_pair(const uint32_t *pair, float *first, float *second) {
  for (int o = 0; o < VLM_PANEL; o++) first[o] = vlm_from_bits(pair[o] << 16);
  for (int o = 0; o < VLM_PANEL && second; o++) second[o] = vlm_from_bits(pair[o] & 0xffff0000);
}

vlm_status vlm_unpack_panels(const vlm_unpack_panels_args *a, int64_t begin, int64_t end) {
  bool pairs = a->format == VLM_WEIGHT_BF16;
  if ((!pairs && a->format != VLM_WEIGHT_F32) || !valid_shape(a->format, a->outputs, a->inputs, 0)) return VLM_BAD_SHAPE;
  if (a->first < 0 || a->count < 0 || a->count > vlm_panels(a->outputs) - a->first) return VLM_BAD_SHAPE;
  if (begin < 0 || end > a->inputs || (pairs && begin % 2)) return VLM_BAD_SHAPE;
  size_t panel_bytes = vlm_panel_bytes(a->format, a->inputs, 0);
  for (int64_t p = 0; p < a->count; p++) {
    const uint32_t *panel = (const uint32_t *)((const char *)a->packed + (size_t)(a->first + p) * panel_bytes);
    float *y = a->y + p * VLM_PANEL;
    if (pairs)
      for (int64_t k = begin; k < end; k += 2, y += 2 * a->y_stride) unpack_pair(panel + k / 2 * VLM_PANEL, y, k + 1 < end ? y + a->y_stride : NULL);
    else
      for (int64_t k = begin; k < end; k++, y += a->y_stride) __builtin_memcpy(y, panel + k * VLM_PANEL, VLM_PANEL * sizeof *y);
  }
  return VLM_OK;
}
