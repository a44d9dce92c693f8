#include "../attention.h"

#if VLM_X86_64
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "attention_int16_256.inl"

VLM_INLINE v_i32 i_dot(v_i32 sum, v_i32 w, v_i32 x) {
  sum = _mm256_add_epi32(sum, _mm256_madd_epi16(w, x));
  // Sums in another order take more registers than there are.
  __asm__("" : "+x"(sum));
  return sum;
}

#include "../vectors/attention_int16.inl"
#include "../vectors/attention_int16_pack.inl"

void vlm_attend_int16_avx2(const vlm_query_tile *tile, const vlm_key_tile *keys, const vlm_coded_keys *coded) { attend_codes(tile, keys, coded); }
void vlm_code_keys_avx2(vlm_coded_keys *keys) { code_keys(keys); }
void vlm_code_query_avx2(const float *x, const float *balance, int64_t head_dim, float scale, int16_t *codes, float *row_scale) {
  code_query(x, balance, head_dim, scale, codes, row_scale);
}
void vlm_balance_avx2(const float *k, int64_t k_stride, int64_t count, int64_t head_dim, vlm_balance b) { balance(k, k_stride, count, head_dim, b); }
#pragma clang attribute pop
#endif
