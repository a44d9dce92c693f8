#ifndef VLM_ATTENTION_H
#define VLM_ATTENTION_H
#include "math_scalar.h"
#include "vlm_attention.h"

// Query rows that share keys and values, and the running state of their online softmax.
typedef struct {
  int64_t rows, head_dim;
  int64_t stride;  // elements between rows of q and out; head_dim rounded up to 16
  float *q;        // [rows, head_dim], scaled by scale · log₂e and padded with zeros; what the kernel makes of it stays in its rows
  float *out;      // [rows, head_dim] Σ 2^(score − most)·v
  float *most;     // [rows]
  float *sum;      // [rows, VLM_SUM_LANES] Σ 2^(score − most), spread over lanes
  float *scores;   // [VLM_ATTENTION_STEP, VLM_KEYS_MAX]
} vlm_query_tile;

// A run of keys and values, of which query row r, of query r / rows_per_query, sees those from vlm_hidden up to vlm_visible:
// query i sees up to first_limit + i of them, or with `reach` up to reach[i] − position, and none before first_hidden + i.
typedef struct {
  int64_t count;
  bool bf16;       // whether k and v are bf16, which the generic version does not read; else f32. On AVX512_BF16 queries and weights are
                   // then rounded to bf16
  const void *k;   // [head_dim, k_stride], tokens contiguous; columns up to k_stride may be read
  int64_t k_stride;
  const void *v;   // [count, v_stride]; columns up to head_dim rounded up to 16 may be read
  int64_t v_stride;
  int64_t first_limit, rows_per_query;
  int64_t first_hidden;    // far below zero: no window
  int64_t position;        // of the first key in its sequence, against `reach`
  const int32_t *reach;    // last position that each query sees; NULL: first_limit says it
  float softcap;           // in the scores' unit, times log₂e; 0: none
  bool first;              // whether the query rows have met no keys yet
  bool streams;            // whether k and v are read where they lie, for few rows; the generic version does not ask
  const void *next_k, *next_v;  // what to prefetch meanwhile: next_count rows of next_bytes, strides in bytes; `streams`: in one piece
  int64_t next_count, next_bytes, next_k_stride, next_v_stride;
} vlm_key_tile;

#define VLM_NO_WINDOW (-((int64_t)1 << 40))

enum {
  VLM_SUM_LANES = 16,
  VLM_KEYS_MAX = 256,          // keys in a tile
  VLM_ATTENTION_STEP = 12,     // query rows whose scores are in scratch at once
  VLM_PAGED_ROWS = 192,        // query rows of a paged work item, unless a group has more heads
  VLM_DIRECT_ROWS = 12,        // most query rows for which bf16 keys are widened as they are read
  VLM_SEGMENT_ROWS = 504,      // most query rows of a segment work item
  VLM_SEGMENT_KEYS = 128,      // keys copied to scratch at a time
  VLM_PAIRED_ROWS = 1032,      // the same of bf16
  VLM_PAIRED_KEYS = 256,
  VLM_CONTEXT_CHUNK = 512,     // tokens of a paged context that are summed apart from the others, rounded down to whole blocks
  VLM_PARTIAL_HEAD = 16,       // floats before the output of a partial
};

static inline int64_t vlm_visible(const vlm_key_tile *keys, int64_t row) {
  int64_t query = row / keys->rows_per_query;
  int64_t limit = keys->reach ? keys->reach[query] - keys->position + 1 : keys->first_limit + query;
  return vlm_max(0, vlm_min(keys->count, limit));
}

// The keys before the window of a row.
static inline int64_t vlm_hidden(const vlm_key_tile *keys, int64_t row) {
  return vlm_max(0, keys->first_hidden + row / keys->rows_per_query);
}

// The most keys that any of some rows sees.
static inline int64_t vlm_most_visible(const vlm_key_tile *keys, int64_t row, int64_t rows) {
  if (!keys->reach) return vlm_visible(keys, row + rows - 1);
  int64_t most = 0;
  for (int64_t r = row; r < row + rows; r++) most = vlm_max(most, vlm_visible(keys, r));
  return most;
}

// Adds a run of keys to the state of a query tile.
typedef void vlm_attend_fn(const vlm_query_tile *tile, const vlm_key_tile *keys);

// Transposes x[rows, columns] (stride x_stride) to y[columns, y_stride]; rows of y may be written up to `rows` rounded up to 16.
typedef void vlm_transpose_fn(const float *x, int64_t x_stride, int64_t rows, int64_t columns, float *y, int64_t y_stride);

// total[i] = total[i] · kept + out[i] · added for the floats of a head rounded up to 16.
typedef void vlm_fold_fn(float *total, float kept, const float *out, float added, int64_t floats);

#define VLM_ATTEND_TILE(features, attend, transpose, fold) vlm_attend_fn attend; vlm_transpose_fn transpose; vlm_fold_fn fold;
#include "attention_tiles.inl"
#undef VLM_ATTEND_TILE

// What attention in products of bf16 reads: queries as bf16 in place of the tile's f32 (rows of `stride` numbers, scaled, zeros behind
// head_dim), keys in panels of VLM_PANEL, two numbers of a key side by side ([head_dim / 2][VLM_PANEL]), and values, two keys side by
// side ([count / 2][stride]); zeros where a partner is missing. It sums in f32 what the weights are after rounding.
typedef struct {
  int64_t count, head_dim, stride;  // `stride` as in vlm_query_tile
  const float *k;
  int64_t k_stride;
  const float *v;
  int64_t v_stride;
  uint32_t *paired_k, *paired_v;
} vlm_pairing;
typedef void vlm_pair_fn(const vlm_pairing *p);

// Row x of a head as such a query.
typedef void vlm_round_query_fn(const float *x, int64_t head_dim, float scale, uint16_t *q);

typedef struct {
  vlm_attend_fn *attend;  // k_stride, v_stride and what is hidden from whom are not asked
  vlm_pair_fn *pair;
  vlm_round_query_fn *round;
} vlm_pairs_version;
vlm_pairs_version vlm_pairs_version_of(vlm_isa isa);

#define VLM_PAIRS_TILE(features, attend, pair, round) vlm_attend_fn attend; vlm_pair_fn pair; vlm_round_query_fn round;
#include "attention_pairs.inl"
#undef VLM_PAIRS_TILE

vlm_attend_fn *vlm_attend_version(vlm_isa isa);
vlm_transpose_fn *vlm_transpose_version(vlm_isa isa);
vlm_fold_fn *vlm_fold_version(vlm_isa isa);

// Scratch of one work item.
typedef struct {
  vlm_query_tile tile;
  float *q, *k, *v;
} vlm_attention_scratch;
size_t vlm_attention_scratch_bytes(int64_t rows, int64_t head_dim, int64_t keys);
vlm_attention_scratch vlm_attention_scratch_of(void *scratch, int64_t rows, int64_t head_dim, int64_t keys);

// Loads row r of the tile from x, scaled, and resets its state; only that; stores the finished row.
void vlm_query_load(vlm_attention_scratch *s, int64_t row, const float *x, float scale);
void vlm_query_reset(vlm_attention_scratch *s, int64_t row);
void vlm_query_store(const vlm_attention_scratch *s, int64_t row, float *y);

// The state of a row after some chunks of its context: greatest score, sum, VLM_PARTIAL_HEAD − 2 floats of nothing, and the
// output not yet divided by the sum, padded to 16. A sum of 0: it has seen no keys.
int64_t vlm_partial_floats(int64_t head_dim);
void vlm_partial_clear(float *partial);

// Adds the state of the next chunk. Where one of both has seen no keys, the result is the other, bit by bit.
void vlm_partial_fold(float *total, float most, float sum, const float *out, int64_t head_dim, vlm_fold_fn *fold);

// The finished row; zeros if it has seen no keys.
void vlm_partial_store(const float *partial, int64_t head_dim, float *y);

// Adds the state of row r of the tile and resets that.
void vlm_query_fold(vlm_attention_scratch *s, int64_t row, float *total, vlm_fold_fn *fold);

#endif
