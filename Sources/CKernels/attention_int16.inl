// VLM_CODES_TILE(features, attend, keys, query, balance): versions of segment attention in 16-bit codes, all of the same bits, oldest to shiniest; the
// dispatcher takes the last one whose features the machine has.
VLM_CODES_TILE(0, vlm_attend_int16_generic, vlm_code_keys_generic, vlm_code_query_generic, vlm_balance_generic)
#if VLM_X86_64
VLM_CODES_TILE(VLM_FEATURES_AVX2, vlm_attend_int16_avx2, vlm_code_keys_avx2, vlm_code_query_avx2, vlm_balance_avx2)
VLM_CODES_TILE(VLM_FEATURES_AVX_VNNI, vlm_attend_int16_avxvnni, vlm_code_keys_avx2, vlm_code_query_avx2, vlm_balance_avx2)
VLM_CODES_TILE(VLM_FEATURES_AVX512, vlm_attend_int16_avx512, vlm_code_keys_avx512, vlm_code_query_avx512, vlm_balance_avx512)
VLM_CODES_TILE(VLM_FEATURES_VNNI, vlm_attend_int16_avx512vnni, vlm_code_keys_avx512, vlm_code_query_avx512, vlm_balance_avx512)
#endif
