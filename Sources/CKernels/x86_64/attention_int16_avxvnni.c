#include "../attention.h"

#if VLM_X86_64
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avxvnni"))), apply_to = function)
#include "attention_int16_256.inl"

VLM_INLINE v_i32 i_dot(v_i32 sum, v_i32 w, v_i32 x) {
  // As an intrinsic the compiler splits it into a product and a sum, for a shorter chain and twice the work.
  __asm__("%{vex%} vpdpwssd %2, %1, %0" : "+x"(sum) : "x"(w), "x"(x));
  return sum;
}

#include "../vectors/attention_int16.inl"

void vlm_attend_int16_avxvnni(const vlm_query_tile *tile, const vlm_key_tile *keys, const vlm_coded_keys *coded) { attend_codes(tile, keys, coded); }
#pragma clang attribute pop
#endif
