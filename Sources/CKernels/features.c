#include "internal.h"

static bool is_same(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return *a == *b;
}

vlm_isa vlm_isa_of_feature(const char *name) {
  static const struct { const char *name; vlm_isa isa; } features[] = {
      {"avx2", VLM_FEATURES_AVX2}, {"fma", VLM_FEATURES_AVX2}, {"f16c", VLM_FEATURES_AVX2}, {"avx_vnni", VLM_FEATURES_AVX_VNNI},
      {"avx512f", VLM_FEATURES_AVX512}, {"avx512bw", VLM_FEATURES_AVX512}, {"avx512vl", VLM_FEATURES_AVX512},
      {"avx512dq", VLM_FEATURES_AVX512}, {"avx512_vnni", VLM_FEATURES_VNNI}, {"avx512_bf16", VLM_FEATURES_BF16},
      {"amx_tile", VLM_FEATURES_AMX}, {"amx_int8", VLM_FEATURES_AMX}, {"amx_bf16", VLM_FEATURES_AMX},
      {"asimd", VLM_FEATURES_NEON}, {"asimddp", VLM_FEATURES_NEON_DOT}};
  for (size_t i = 0; i < sizeof features / sizeof *features; i++)
    if (is_same(features[i].name, name)) return features[i].isa;
  return 1u << 31;
}

#if VLM_X86_64
#include <cpuid.h>

// Asks Linux for the use of tiles; whether they may be used now.
static bool may_use_tiles(void) {
#if defined(__linux__)
  enum { ARCH_PRCTL = 158, ARCH_REQ_XCOMP_PERM = 0x1023, TILE_DATA = 18 };
  long status = ARCH_PRCTL;
  __asm__ volatile("syscall" : "+a"(status) : "D"((long)ARCH_REQ_XCOMP_PERM), "S"((long)TILE_DATA) : "rcx", "r11", "memory");
  return status == 0;
#else
  return false;
#endif
}

static uint64_t enabled_state(void) {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t)high << 32 | low;
}

vlm_isa vlm_cpu_features(void) {
  enum { FMA = 1 << 12, OSXSAVE = 1 << 27, F16C = 1 << 29 };                           // leaf 1, ecx
  enum { AVX2 = 1 << 5, F = 1 << 16, DQ = 1 << 17, BW = 1 << 30, VNNI = 1 << 11 };     // leaf 7, ebx; VNNI in ecx
  const uint32_t VL = 1u << 31, BF16 = 1 << 5, AVX_VNNI = 1 << 4;                      // leaf 7, ebx; leaf 7.1, eax
  const uint32_t AMX = 1 << 22 | 1 << 24 | 1 << 25;                                    // leaf 7, edx
  const uint64_t ymm = 0x6, zmm = 0xe6, tiles = 0x60000;
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || (c & (FMA | OSXSAVE | F16C)) != (FMA | OSXSAVE | F16C)) return VLM_ISA_GENERIC;
  uint64_t state = enabled_state();
  if ((state & ymm) != ymm || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & AVX2)) return VLM_ISA_GENERIC;
  uint32_t wanted = F | DQ | BW | VL, more = 0, unused;
  if (a >= 1) __get_cpuid_count(7, 1, &more, &unused, &unused, &unused);
  vlm_isa isa = VLM_ISA_AVX2;
  if (more & AVX_VNNI) isa |= VLM_ISA_AVX_VNNI;
  if ((state & zmm) != zmm || (b & wanted) != wanted) return isa;
  isa |= VLM_ISA_AVX512;
  if (c & VNNI) isa |= VLM_ISA_AVX512_VNNI;
  if (more & BF16) isa |= VLM_ISA_AVX512_BF16;
  if (vlm_has(isa, VLM_FEATURES_VNNI | VLM_FEATURES_BF16) && (state & tiles) == tiles && (d & AMX) == AMX && may_use_tiles()) isa |= VLM_ISA_AMX;
  return isa;
}

bool vlm_memory_is_far(void) {
  enum { Genu = 0x756e6547, ineI = 0x49656e69, ntel = 0x6c65746e };
  uint32_t a, b, c, d;
  return __get_cpuid(0, &a, &b, &c, &d) && b == Genu && d == ineI && c == ntel;
}
#elif VLM_AARCH64

// Whether the processor has dot products of bytes. Linux lets a program read the registers that say so; elsewhere the compiler says it.
static bool has_dots(void) {
#if defined(__ARM_FEATURE_DOTPROD)
  return true;
#elif defined(__linux__)
  uint64_t features;
  __asm__("mrs %0, ID_AA64ISAR0_EL1" : "=r"(features));
  return (features >> 44 & 15) != 0;
#else
  return false;
#endif
}

vlm_isa vlm_cpu_features(void) { return VLM_ISA_NEON | (has_dots() ? VLM_ISA_NEON_DOT : VLM_ISA_GENERIC); }
bool vlm_memory_is_far(void) { return false; }
#else
vlm_isa vlm_cpu_features(void) { return VLM_ISA_GENERIC; }
bool vlm_memory_is_far(void) { return false; }
#endif
