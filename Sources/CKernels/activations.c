#include "internal.h"

vlm_pack_activations_fn vlm_pack_bf16_rows_generic, vlm_pack_int8_rows_generic, vlm_pack_int8_rows_avx2, vlm_pack_bf16_rows_avx512,
    vlm_pack_int8_rows_avx512, vlm_pack_int8_tiles_avx512, vlm_pack_bf16_tiles_avx512, vlm_pack_int8_blocks_generic, vlm_pack_int8_blocks_avx2,
    vlm_pack_int8_blocks_avx512, vlm_pack_bf16_rows_neon, vlm_pack_int8_rows_neon, vlm_pack_int8_blocks_neon, vlm_pack_int16_blocks_generic,
    vlm_pack_int16_blocks_avx2, vlm_pack_int16_blocks_avx512;

// Versions of each format, the last whose features the machine has being taken.
static const struct { vlm_row_format format; vlm_isa features; vlm_pack_activations_fn *run; } versions[] = {
    {VLM_ROWS_BF16, 0, vlm_pack_bf16_rows_generic},
    {VLM_ROWS_INT8, 0, vlm_pack_int8_rows_generic},
    {VLM_ROWS_INT8_BLOCKS, 0, vlm_pack_int8_blocks_generic},
    {VLM_ROWS_INT16_BLOCKS, 0, vlm_pack_int16_blocks_generic},
#if VLM_X86_64
    {VLM_ROWS_INT8, VLM_FEATURES_AVX2, vlm_pack_int8_rows_avx2},
    {VLM_ROWS_INT8_BLOCKS, VLM_FEATURES_AVX2, vlm_pack_int8_blocks_avx2},
    {VLM_ROWS_INT16_BLOCKS, VLM_FEATURES_AVX2, vlm_pack_int16_blocks_avx2},
    {VLM_ROWS_BF16, VLM_FEATURES_AVX512, vlm_pack_bf16_rows_avx512},
    {VLM_ROWS_INT8, VLM_FEATURES_AVX512, vlm_pack_int8_rows_avx512},
    {VLM_ROWS_BF16, VLM_FEATURES_AMX, vlm_pack_bf16_tiles_avx512},
    {VLM_ROWS_INT8, VLM_FEATURES_AMX, vlm_pack_int8_tiles_avx512},
    {VLM_ROWS_INT8_BLOCKS, VLM_FEATURES_AVX512, vlm_pack_int8_blocks_avx512},
    {VLM_ROWS_INT16_BLOCKS, VLM_FEATURES_AVX512, vlm_pack_int16_blocks_avx512},
#elif VLM_AARCH64
    {VLM_ROWS_BF16, VLM_FEATURES_NEON, vlm_pack_bf16_rows_neon},
    {VLM_ROWS_INT8, VLM_FEATURES_NEON, vlm_pack_int8_rows_neon},
    {VLM_ROWS_INT8_BLOCKS, VLM_FEATURES_NEON, vlm_pack_int8_blocks_neon},
#endif
};

size_t vlm_row_bytes(vlm_row_format format, int64_t inputs, int64_t group) {
  if (inputs <= 0 || inputs > INT32_MAX) return 0;
  switch (format) {
    case VLM_ROWS_BF16: return (size_t)vlm_bf16_row(inputs) * 2;
    case VLM_ROWS_INT8:
      if (group <= 0 || group % 16 != 0 || inputs % group != 0) return 0;
      return vlm_align64((size_t)(inputs / group * vlm_i8_group_bytes(group)));
    case VLM_ROWS_INT8_BLOCKS:
      if (inputs % VLM_F4_DOT != 0) return 0;
      return vlm_align64((size_t)vlm_ceil_div(inputs, VLM_F4_BLOCK) * sizeof(vlm_f4_row_block));
    case VLM_ROWS_INT16_BLOCKS:
      return (size_t)vlm_i16_code_bytes(inputs) + vlm_align64((size_t)vlm_ceil_div(inputs, VLM_I16_BLOCK) * sizeof(float));
  }
  return 0;
}

vlm_status vlm_pack_activations(const vlm_pack_activations_args *a, int64_t begin, int64_t end, vlm_isa isa) {
  if (vlm_row_bytes(a->format, a->inputs, a->group) == 0 || begin < 0 || end > a->rows) return VLM_BAD_SHAPE;
  if (!vlm_is_aligned(a->packed)) return VLM_BAD_ALIGNMENT;
  if (begin >= end) return VLM_OK;
  vlm_pack_activations_fn *run = vlm_pack_bf16_rows_generic;
  for (size_t i = 0; i < sizeof versions / sizeof *versions; i++)
    if (versions[i].format == a->format && vlm_has(isa, versions[i].features)) run = versions[i].run;
  run(a, begin, end);
  return VLM_OK;
}
