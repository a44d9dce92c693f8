// VLM_ATTEND_TILE(features, attend, transpose, fold): versions of the attention inner loops, oldest to shiniest; the dispatcher
// takes the last one whose features the machine has.
VLM_ATTEND_TILE(0, vlm_attend_generic, vlm_transpose_generic, vlm_fold_generic)
#if VLM_X86_64
VLM_ATTEND_TILE(VLM_FEATURES_AVX2, vlm_attend_avx2, vlm_transpose_avx2, vlm_fold_avx2)
VLM_ATTEND_TILE(VLM_FEATURES_AVX512, vlm_attend_avx512, vlm_transpose_avx512, vlm_fold_avx512)
VLM_ATTEND_TILE(VLM_FEATURES_BF16, vlm_attend_avx512bf16, vlm_transpose_avx512, vlm_fold_avx512)
VLM_ATTEND_TILE(VLM_FEATURES_AMX, vlm_attend_amx, vlm_transpose_avx512, vlm_fold_avx512)
#elif VLM_AARCH64
VLM_ATTEND_TILE(VLM_FEATURES_NEON, vlm_attend_neon, vlm_transpose_neon, vlm_fold_neon)
#endif
