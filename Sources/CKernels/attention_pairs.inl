// VLM_PAIRS_TILE(features, attend, pair, round): versions of attention in products of bf16, oldest to shiniest; the dispatcher takes the
// last one whose features the machine has.
VLM_PAIRS_TILE(0, vlm_attend_pairs_generic, vlm_pair_generic, vlm_round_query_generic)
#if VLM_X86_64
VLM_PAIRS_TILE(VLM_FEATURES_BF16, vlm_attend_pairs_avx512bf16, vlm_pair_avx512bf16, vlm_round_query_avx512bf16)
VLM_PAIRS_TILE(VLM_FEATURES_AMX, vlm_attend_pairs_amx, vlm_pair_amx, vlm_round_query_amx)
#endif
