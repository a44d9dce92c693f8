// VLM_LINEAR_TILE(kind, features, function): versions of the linear kernel, oldest to shiniest; the dispatcher takes the
// last one of a kind whose features the machine has.
VLM_LINEAR_TILE(BF16_F32, 0, vlm_linear_bf16_f32_generic)
VLM_LINEAR_TILE(BF16_BF16, 0, vlm_linear_bf16_bf16_generic)
VLM_LINEAR_TILE(F32_F32, 0, vlm_linear_f32_f32_generic)
VLM_LINEAR_TILE(INT4_F32, 0, vlm_linear_int4_f32_generic)
VLM_LINEAR_TILE(INT4_INT8, 0, vlm_linear_int4_int8_generic)
#if VLM_X86_64
VLM_LINEAR_TILE(BF16_F32, VLM_FEATURES_AVX2, vlm_linear_bf16_f32_6x16_avx2)
VLM_LINEAR_TILE(F32_F32, VLM_FEATURES_AVX2, vlm_linear_f32_f32_6x16_avx2)
VLM_LINEAR_TILE(INT4_F32, VLM_FEATURES_AVX2, vlm_linear_int4_f32_6x16_avx2)
VLM_LINEAR_TILE(INT4_INT8, VLM_FEATURES_AVX2, vlm_linear_int4_int8_6x8_avx2)
VLM_LINEAR_TILE(BF16_F32, VLM_FEATURES_AVX512, vlm_linear_bf16_f32_12x32_avx512)
VLM_LINEAR_TILE(F32_F32, VLM_FEATURES_AVX512, vlm_linear_f32_f32_12x32_avx512)
VLM_LINEAR_TILE(INT4_F32, VLM_FEATURES_AVX512, vlm_linear_int4_f32_12x32_avx512)
VLM_LINEAR_TILE(INT4_INT8, VLM_FEATURES_VNNI, vlm_linear_int4_int8_12x32_avx512vnni)
VLM_LINEAR_TILE(BF16_BF16, VLM_FEATURES_BF16, vlm_linear_bf16_bf16_12x32_avx512bf16)
#endif
