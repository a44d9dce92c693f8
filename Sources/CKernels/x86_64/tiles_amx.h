// Tiles of AMX: registers of up to 16 rows of 64 bytes. C[m][n] += Σ A[m][k] · B[k][n] of int8 or bf16, B with four or two inputs of an output beside
// each other, as packed weights have them.
#include <immintrin.h>

enum { TILE_ROWS = 16, TILE_BYTES = 64, TILE_SIZE = TILE_ROWS * TILE_BYTES };

// What tiles are: 0 to 3 of sums and 4 and 5 of A, with `first` rows in tiles 0, 1 and 4 and `second` in tiles 2, 3 and 5; 6 and 7 of B. Of inputs A and B
// have `depth` bytes, a multiple of 4.
__attribute__((target("amx-tile"))) static inline void tiles_begin(int64_t depth, int64_t first, int64_t second) {
  struct {
    uint8_t palette, start, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
  } shape __attribute__((aligned(64))) = {.palette = 1};
  for (int t = 0; t < 8; t++) {
    shape.bytes[t] = (uint16_t)(t == 4 || t == 5 ? depth : TILE_BYTES);
    shape.rows[t] = (uint8_t)(t >= 6 ? depth / 4 : t < 2 || t == 4 ? first : second);
  }
  _tile_loadconfig(&shape);
}

// The sums of one or two tiles of rows by a panel, tiles 0 to 3: from zero or from memory, and back.
__attribute__((target("amx-tile"))) VLM_INLINE void begin_sums(const float *sums, bool accumulate, const bool both) {
  if (!accumulate) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    return;
  }
  _tile_loadd(0, sums, VLM_PANEL * 4);
  _tile_loadd(1, sums + VLM_PANEL / 2, VLM_PANEL * 4);
  if (both) _tile_loadd(2, sums + TILE_ROWS * VLM_PANEL, VLM_PANEL * 4);
  if (both) _tile_loadd(3, sums + TILE_ROWS * VLM_PANEL + VLM_PANEL / 2, VLM_PANEL * 4);
}

__attribute__((target("amx-tile"))) VLM_INLINE void end_sums(float *sums, const bool both) {
  _tile_stored(0, sums, VLM_PANEL * 4);
  _tile_stored(1, sums + VLM_PANEL / 2, VLM_PANEL * 4);
  if (both) _tile_stored(2, sums + TILE_ROWS * VLM_PANEL, VLM_PANEL * 4);
  if (both) _tile_stored(3, sums + TILE_ROWS * VLM_PANEL + VLM_PANEL / 2, VLM_PANEL * 4);
}
