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
  float *scores;   // [VLM_ATTENTION_STEP, VLM_KEYS_MAX], or with AMX twice [VLM_TILES_STEP, VLM_SCORES_AMX]
} vlm_query_tile;

// A run of keys and values, of which query row r, of query r / rows_per_query, sees those from vlm_hidden up to vlm_visible:
// query i sees up to first_limit + i of them, or with `reach` up to reach[i] − position, and none before first_hidden + i.
typedef struct {
  int64_t count;
  bool bf16;       // whether k and v are bf16 in pairs, which the generic version does not read; else f32. On AVX512_BF16 queries and
                   // weights are then rounded to bf16
  const void *k;   // [head_dim, k_stride], tokens contiguous; pairs: [head_dim / 2, k_stride], two numbers of a token side by side. Columns up to
                   // k_stride may be read
  int64_t k_stride;
  const void *v;   // [count, v_stride]; pairs: [count / 2, v_stride], two tokens side by side. Columns up to head_dim rounded up to 16 may be
                   // read, and on AMX rows up to a multiple of 32 tokens
  int64_t v_stride;
  int64_t first_limit, rows_per_query;
  int64_t first_hidden;    // far below zero: no window
  int64_t position;        // of the first key in its sequence, against `reach`
  const int32_t *reach;    // last position that each query sees; NULL: first_limit says it
  float softcap;           // in the scores' unit, times log₂e; 0: none
  bool first, last;        // whether the query rows have met no keys yet, and meet none after these
  bool streams;            // whether k and v are read where they lie, for few rows; the generic version does not ask
  const void *next_k, *next_v;  // what to prefetch meanwhile: next_count rows of next_bytes, strides in bytes; `streams`: in one piece
  int64_t next_count, next_bytes, next_k_stride, next_v_stride;
} vlm_key_tile;

#define VLM_NO_WINDOW (-((int64_t)1 << 40))

enum {
  VLM_SUM_LANES = 16,
  VLM_KEYS_MAX = 256,          // keys in a tile
  VLM_ATTENTION_STEP = 12,     // query rows whose scores are in scratch at once
  VLM_TILES_STEP = 32,         // the same of two tiles of AMX, twice
  VLM_SCORES_AMX = VLM_KEYS_MAX + 16,  // floats between their rows, which would else meet in few sets of the cache
  VLM_PAGED_ROWS = 192,        // query rows of a paged work item, unless a group has more heads
  VLM_DIRECT_ROWS = 12,        // most query rows for which bf16 keys are widened as they are read
  VLM_SEGMENT_ROWS = 504,      // most query rows of a segment work item
  VLM_SEGMENT_KEYS = 128,      // keys copied to scratch at a time
  VLM_PAIRED_ROWS = 1032,      // the same of bf16 and codes
  VLM_PAIRED_KEYS = 256,
  VLM_BALANCE_STEP = 4,        // one in so many keys says how great channels are
  VLM_CODED_KEYS = 128,        // the same of codes
  VLM_CONTEXT_CHUNK = 512,     // tokens of a paged context that are summed apart from the others, rounded down to whole blocks
  VLM_PARTIAL_HEAD = 16,       // floats before the output of a partial
};

// The greatest codes of weights and of values: VLM_CODED_KEYS products have a sum below 2³¹.
#define VLM_WEIGHT_CODE_MOST 16383
#define VLM_VALUE_CODE_MOST 1023

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

// The share of the next keys and values that belongs to query rows [row, row + rows).
static inline void vlm_prefetch_next(const vlm_query_tile *tile, const vlm_key_tile *keys, int64_t row, int64_t rows) {
  for (int64_t j = keys->next_count * row / tile->rows; j < keys->next_count * (row + rows) / tile->rows; j++)
    for (int64_t i = 0; i < keys->next_bytes + 63; i += 64) {
      __builtin_prefetch((const char *)keys->next_k + j * keys->next_k_stride + i, 0, 2);
      __builtin_prefetch((const char *)keys->next_v + j * keys->next_v_stride + i, 0, 2);
    }
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

// What attention in products of bf16 reads: queries as bf16 at the beginning of the tile's rows in place of f32 (scaled, zeros behind head_dim),
// keys in panels of VLM_PANEL, two numbers of a key side by side ([head_dim / 2][VLM_PANEL]), and values, two keys side by side ([count / 2]
// [stride]); zeros where a partner is missing. AMX has both in tiles (attention_pairs_amx.c). Sums are in f32, of what the weights are after
// rounding.
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

// A run of keys and values as 16-bit codes; the order of pairs is the version's own. Zeros where a partner is missing.
typedef struct {
  int64_t count, head_dim, stride;  // `stride` as in vlm_query_tile
  const float *k;
  int64_t k_stride;
  const float *v;
  int64_t v_stride;
  uint32_t *coded_k;  // panels of VLM_PANEL keys: two numbers of a key side by side, [head_dim / 2][VLM_PANEL]
  float *k_scale;     // [count, to whole panels]
  const float *balance;  // what keys are multiplied by
  int16_t *rows;      // room for VLM_SUM_LANES rows of vlm_code_row numbers
  uint32_t *coded_v;  // two keys side by side, [count / 2, to whole panels][stride]
  float *v_scale;     // [stride]
  float *v_inverse;   // [stride], room
  float spoilt;       // NaN where a key has a number that is not finite, else 0
} vlm_coded_keys;

// The greatest code of queries and keys, so that the products of a head's numbers have a sum below 2³¹.
float vlm_query_code_most(int64_t head_dim);

// What the channels of a head's queries and of its keys are multiplied by before they become codes: powers of two, whose product is 1, so that
// no channel of the keys is far greater than the others in the mean.
typedef struct {
  float *queries, *keys;  // [stride]
} vlm_balance;

// From the sum of a channel's magnitudes in one key of VLM_BALANCE_STEP.
static inline void vlm_balance_of(float sum, int64_t keys_seen, float *queries, float *keys) {
  const float mean = sum / (float)vlm_ceil_div(keys_seen, VLM_BALANCE_STEP);
  const int64_t power = vlm_bits(mean) & 0x7f800000, least = 27 << 23, most = (int64_t)227 << 23, bits = vlm_max(least, vlm_min(most, power));
  *queries = vlm_from_bits((uint32_t)bits);
  *keys = vlm_from_bits((254u << 23) - (uint32_t)bits);
}

// Numbers of a row of codes.
static inline int64_t vlm_code_row(int64_t head_dim) { return (head_dim + 31) / 32 * 32; }

// The floats of a coded query row: codes, then its scale with the tile's and log₂e.
static inline float *vlm_coded_scale(const vlm_query_tile *tile, int64_t row) { return tile->q + row * tile->stride + tile->stride / 2; }

// The balance of all keys [count, head_dim] that a query sees.
typedef void vlm_balance_fn(const float *k, int64_t k_stride, int64_t count, int64_t head_dim, vlm_balance balance);
typedef void vlm_code_query_fn(const float *x, const float *balance, int64_t head_dim, float scale, int16_t *codes, float *row_scale);
typedef void vlm_code_keys_fn(vlm_coded_keys *keys);
typedef void vlm_attend_codes_fn(const vlm_query_tile *tile, const vlm_key_tile *keys, const vlm_coded_keys *coded);

// Of a key tile `k`, `v`, their strides and what is hidden from whom are not asked.
typedef struct {
  vlm_attend_codes_fn *attend;
  vlm_code_keys_fn *keys;
  vlm_code_query_fn *query;
  vlm_balance_fn *balance;
} vlm_codes_version;
vlm_codes_version vlm_codes_version_of(vlm_isa isa);

#define VLM_CODES_TILE(features, attend, keys, query, balance) \
  vlm_attend_codes_fn attend; vlm_code_keys_fn keys; vlm_code_query_fn query; vlm_balance_fn balance;
#include "attention_int16.inl"
#undef VLM_CODES_TILE

vlm_attend_fn *vlm_attend_version(vlm_isa isa);
vlm_transpose_fn *vlm_transpose_version(vlm_isa isa);
vlm_fold_fn *vlm_fold_version(vlm_isa isa);

// Scratch of one work item.
typedef struct {
  vlm_query_tile tile;
  float *q, *k, *v;
  float *end;  // behind all of it
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
