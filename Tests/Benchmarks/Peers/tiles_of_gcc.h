// What llama.cpp is built with. GCC 12 does not say of its intrinsics for AMX what memory they read: _tile_loadconfig names 8 of 64 bytes and _tile_loadd
// none, so that stores before them are left out, and the server stops at its first prompt.
#if defined(__AMX_TILE__) && defined(__GNUC__) && !defined(__clang__)
#include <immintrin.h>
#undef _tile_loadd
#define _tile_loadd(tile, base, stride) TILE_LOAD(tile, base, stride)
#define TILE_LOAD(tile, base, stride) \
  __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #tile ::"r"((const void *)(base)), "r"((long)(stride)) : "memory")
#define _tile_loadconfig(shape) __asm__ volatile("ldtilecfg (%0)" ::"r"((const void *)(shape)) : "memory")
#endif
