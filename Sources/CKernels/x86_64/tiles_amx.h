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
