#include "attention.h"

enum { AHEAD = 12 };  // rows between one that is read or written and one that is asked for

static int64_t segment_rows(const vlm_segment_attention_args *a, int64_t segment) {
  return vlm_max(0, (int64_t)a->offsets[segment + 1] - a->offsets[segment]);
}

static const int32_t *key_offsets(const vlm_segment_attention_args *a) { return a->key_offsets ? a->key_offsets : a->offsets; }

static int64_t segment_tiles(const vlm_segment_attention_args *a, int64_t segment) {
  return vlm_ceil_div(segment_rows(a, segment), a->products == VLM_PRODUCTS_F32 ? VLM_SEGMENT_ROWS : VLM_PAIRED_ROWS);
}

int64_t vlm_segment_attention_items(const vlm_segment_attention_args *a) {
  int64_t tiles = 0;
  for (int64_t s = 0; s < a->segments; s++) tiles += segment_tiles(a, s);
  return tiles * a->heads;
}

size_t vlm_segment_attention_scratch_bytes(int64_t head_dim) {
  return vlm_attention_scratch_bytes(VLM_PAIRED_ROWS, head_dim, VLM_PAIRED_KEYS);
}

// Keys and values of a head in a segment.
typedef struct {
  const float *k, *v;
  int64_t k_stride, v_stride, count;
} key_rows;

static key_rows head_keys(const vlm_segment_attention_args *a, int64_t segment, int64_t head) {
  const int32_t *bounds = key_offsets(a);
  int64_t first = bounds[segment], at = head / (a->heads / a->kv_heads) * a->head_dim;
  return (key_rows){a->k + first * a->k_stride + at, a->v + first * a->v_stride + at, a->k_stride, a->v_stride, bounds[segment + 1] - first};
}

// The `count` keys from `first` on, all of which every query sees; the keys after them are to be prefetched.
static vlm_key_tile seen_keys(const vlm_segment_attention_args *a, const vlm_attention_scratch *s, const key_rows *rows, int64_t first,
                              int64_t count, int64_t most) {
  int64_t next = first + count;
  return (vlm_key_tile){
    .count = count, .k = s->k, .k_stride = VLM_SEGMENT_KEYS, .v = s->v, .v_stride = s->tile.stride, .first_limit = count, .rows_per_query = 1,
    .first_hidden = VLM_NO_WINDOW, .softcap = a->softcap * VLM_LOG2E,
    .next_k = rows->k + next * rows->k_stride, .next_v = rows->v + next * rows->v_stride, .next_count = vlm_min(most, rows->count - next),
    .next_bytes = a->head_dim * (int64_t)sizeof(float), .next_k_stride = rows->k_stride * (int64_t)sizeof(float),
    .next_v_stride = rows->v_stride * (int64_t)sizeof(float)};
}

// Asks for some floats, to be read or written.
static void ask(const float *x, int64_t count, const bool writes) {
  for (int64_t i = 0; i < count + 15; i += 16) {
    if (writes) __builtin_prefetch(x + i, 1, 2);
    else __builtin_prefetch(x + i, 0, 2);
  }
}

// Asks for what is read soon while query row r is loaded: a row some way behind it, and a row of the first keys and values.
static void ask_ahead(const vlm_segment_attention_args *a, const float *q, int64_t row, int64_t rows, const key_rows *keys) {
  if (row + AHEAD < rows) ask(q + (row + AHEAD) * a->q_stride, a->head_dim, false);
  if (row >= vlm_min(keys->count, VLM_SEGMENT_KEYS)) return;
  ask(keys->k + row * keys->k_stride, a->head_dim, false);
  ask(keys->v + row * keys->v_stride, a->head_dim, false);
}

static void attend_f32(const vlm_segment_attention_args *a, vlm_attention_scratch *s, const float *q, const key_rows *rows, vlm_isa isa) {
  vlm_attend_fn *attend = vlm_attend_version(isa);
  vlm_transpose_fn *transpose = vlm_transpose_version(isa);
  for (int64_t r = 0; r < s->tile.rows; r++) {
    ask_ahead(a, q, r, s->tile.rows, rows);
    vlm_query_load(s, r, q + r * a->q_stride, a->scale);
  }
  for (int64_t j = 0; j < rows->count; j += VLM_SEGMENT_KEYS) {
    int64_t count = vlm_min(VLM_SEGMENT_KEYS, rows->count - j);
    const float *v = rows->v + j * rows->v_stride;
    transpose(rows->k + j * rows->k_stride, rows->k_stride, count, a->head_dim, s->k, VLM_SEGMENT_KEYS);
    for (int64_t i = 0; i < count; i++)
      __builtin_memcpy(s->v + i * s->tile.stride, v + i * rows->v_stride, (size_t)a->head_dim * sizeof(float));
    vlm_key_tile keys = seen_keys(a, s, rows, j, count, VLM_SEGMENT_KEYS);
    attend(&s->tile, &keys);
  }
}

static void attend_bf16(const vlm_segment_attention_args *a, vlm_attention_scratch *s, const float *q, const key_rows *rows, vlm_isa isa) {
  const vlm_pairs_version version = vlm_pairs_version_of(isa);
  for (int64_t r = 0; r < s->tile.rows; r++) {
    ask_ahead(a, q, r, s->tile.rows, rows);
    version.round(q + r * a->q_stride, a->head_dim, a->scale, (uint16_t *)(s->q + r * s->tile.stride));
    vlm_query_reset(s, r);
  }
  for (int64_t j = 0; j < rows->count; j += VLM_PAIRED_KEYS) {
    int64_t count = vlm_min(VLM_PAIRED_KEYS, rows->count - j);
    version.pair(&(vlm_pairing){count, a->head_dim, s->tile.stride, rows->k + j * rows->k_stride, rows->k_stride,
                                rows->v + j * rows->v_stride, rows->v_stride, (uint32_t *)s->k, (uint32_t *)s->v});
    vlm_key_tile keys = seen_keys(a, s, rows, j, count, VLM_PAIRED_KEYS);
    version.attend(&s->tile, &keys);
  }
}

static void attend_int16(const vlm_segment_attention_args *a, vlm_attention_scratch *s, const float *q, const key_rows *rows, vlm_isa isa) {
  const vlm_codes_version version = vlm_codes_version_of(isa);
  const int64_t codes = VLM_CODED_KEYS * s->tile.stride / 2;
  float *const scales = s->v + codes;
  const vlm_balance balance = {scales + 2 * s->tile.stride, scales + 3 * s->tile.stride};
  version.balance(rows->k, rows->k_stride, rows->count, a->head_dim, balance);
  for (int64_t r = 0; r < s->tile.rows; r++) {
    ask_ahead(a, q, r, s->tile.rows, rows);
    version.query(q + r * a->q_stride, balance.queries, a->head_dim, a->scale, (int16_t *)(s->q + r * s->tile.stride), vlm_coded_scale(&s->tile, r));
    vlm_query_reset(s, r);
  }
  for (int64_t j = 0; j < rows->count; j += VLM_CODED_KEYS) {
    vlm_coded_keys coded = {
      .count = vlm_min(VLM_CODED_KEYS, rows->count - j), .head_dim = a->head_dim, .stride = s->tile.stride, .k = rows->k + j * rows->k_stride,
      .k_stride = rows->k_stride, .v = rows->v + j * rows->v_stride, .v_stride = rows->v_stride, .coded_k = (uint32_t *)s->k,
      .k_scale = s->k + codes, .balance = balance.keys, .rows = (int16_t *)(s->k + codes + VLM_CODED_KEYS), .coded_v = (uint32_t *)s->v,
      .v_scale = scales, .v_inverse = scales + s->tile.stride};
    version.keys(&coded);
    vlm_key_tile keys = seen_keys(a, s, rows, j, coded.count, VLM_CODED_KEYS);
    version.attend(&s->tile, &keys, &coded);
  }
}

// Tiles of a segment are whole steps of the inner loops, the last one aside, and differ by one step at most.
static int64_t tile_begin(const vlm_segment_attention_args *a, int64_t segment, int64_t tile) {
  int64_t rows = segment_rows(a, segment), steps = vlm_ceil_div(rows, VLM_ATTENTION_STEP);
  return vlm_min(rows, steps * tile / segment_tiles(a, segment) * VLM_ATTENTION_STEP);
}

static void segment_item(const vlm_segment_attention_args *a, int64_t segment, int64_t head, int64_t tile, void *scratch, vlm_isa isa) {
  vlm_attention_scratch s = vlm_attention_scratch_of(scratch, VLM_PAIRED_ROWS, a->head_dim, VLM_PAIRED_KEYS);
  int64_t begin = tile_begin(a, segment, tile), first = a->offsets[segment] + begin;
  s.tile.rows = tile_begin(a, segment, tile + 1) - begin;
  const float *q = a->q + first * a->q_stride + head * a->head_dim;
  key_rows keys = head_keys(a, segment, head);
  if (a->products == VLM_PRODUCTS_BF16) attend_bf16(a, &s, q, &keys, isa);
  else if (a->products == VLM_PRODUCTS_INT16) attend_int16(a, &s, q, &keys, isa);
  else attend_f32(a, &s, q, &keys, isa);
  float *y = a->y + first * a->y_stride + head * a->head_dim;
  for (int64_t r = 0; r < s.tile.rows; r++) {
    if (r + AHEAD < s.tile.rows) ask(y + (r + AHEAD) * a->y_stride, a->head_dim, true);
    vlm_query_store(&s, r, y + r * a->y_stride);
  }
}

vlm_status vlm_segment_attention(const vlm_segment_attention_args *a, int64_t begin, int64_t end, void *scratch, vlm_isa isa) {
  if (begin >= end) return VLM_OK;
  if (a->kv_heads <= 0 || a->heads <= 0 || a->heads % a->kv_heads || a->head_dim <= 0 || begin < 0 || !(a->softcap >= 0)) return VLM_BAD_SHAPE;
  if ((unsigned)a->products > VLM_PRODUCTS_INT16) return VLM_BAD_SHAPE;
  if (end > vlm_segment_attention_items(a)) return VLM_BAD_SHAPE;
  if (!vlm_is_aligned(scratch)) return VLM_BAD_ALIGNMENT;
  int64_t item = 0;
  for (int64_t s = 0; s < a->segments && item < end; s++) {
    int64_t tiles = segment_tiles(a, s), items = tiles * a->heads;
    for (int64_t i = vlm_max(0, begin - item); i < vlm_min(items, end - item); i++)
      segment_item(a, s, i / tiles, i % tiles, scratch, isa);
    item += items;
  }
  return VLM_OK;
}
