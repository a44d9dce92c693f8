#include "attention.h"

static int64_t segment_rows(const vlm_segment_attention_args *a, int64_t segment) {
  return vlm_max(0, (int64_t)a->offsets[segment + 1] - a->offsets[segment]);
}

static const int32_t *key_offsets(const vlm_segment_attention_args *a) { return a->key_offsets ? a->key_offsets : a->offsets; }

static int64_t segment_tiles(const vlm_segment_attention_args *a, int64_t segment) {
  return vlm_ceil_div(segment_rows(a, segment), VLM_SEGMENT_ROWS);
}

int64_t vlm_segment_attention_items(const vlm_segment_attention_args *a) {
  int64_t tiles = 0;
  for (int64_t s = 0; s < a->segments; s++) tiles += segment_tiles(a, s);
  return tiles * a->heads;
}

size_t vlm_segment_attention_scratch_bytes(int64_t head_dim) {
  return vlm_attention_scratch_bytes(VLM_SEGMENT_ROWS, head_dim, VLM_SEGMENT_KEYS);
}

static void segment_item(const vlm_segment_attention_args *a, int64_t segment, int64_t head, int64_t tile, void *scratch, vlm_isa isa) {
  vlm_attend_fn *attend = vlm_attend_version(isa);
  vlm_transpose_fn *transpose = vlm_transpose_version(isa);
  vlm_attention_scratch s = vlm_attention_scratch_of(scratch, VLM_SEGMENT_ROWS, a->head_dim, VLM_SEGMENT_KEYS);
  const int32_t *bounds = key_offsets(a);
  int64_t base = bounds[segment], keys = (int64_t)bounds[segment + 1] - base, first = a->offsets[segment] + tile * VLM_SEGMENT_ROWS;
  int64_t kv_head = head / (a->heads / a->kv_heads);
  s.tile.rows = vlm_min(VLM_SEGMENT_ROWS, a->offsets[segment + 1] - first);
  for (int64_t r = 0; r < s.tile.rows; r++)
    vlm_query_load(&s, r, a->q + (first + r) * a->q_stride + head * a->head_dim, a->scale);
  for (int64_t j = 0; j < keys; j += VLM_SEGMENT_KEYS) {
    int64_t count = vlm_min(VLM_SEGMENT_KEYS, keys - j);
    const float *k = a->k + (base + j) * a->k_stride + kv_head * a->head_dim;
    const float *v = a->v + (base + j) * a->v_stride + kv_head * a->head_dim;
    transpose(k, a->k_stride, count, a->head_dim, s.k, VLM_SEGMENT_KEYS);
    for (int64_t i = 0; i < count; i++)
      __builtin_memcpy(s.v + i * s.tile.stride, v + i * a->v_stride, (size_t)a->head_dim * sizeof(float));
    vlm_key_tile tile = {
      .count = count, .k = s.k, .k_stride = VLM_SEGMENT_KEYS, .v = s.v, .v_stride = s.tile.stride, .first_limit = count, .rows_per_query = 1,
      .first_hidden = VLM_NO_WINDOW, .softcap = a->softcap * VLM_LOG2E,
      .next_k = k + count * a->k_stride, .next_v = v + count * a->v_stride, .next_count = vlm_min(VLM_SEGMENT_KEYS, keys - j - count),
      .next_bytes = a->head_dim * (int64_t)sizeof(float), .next_k_stride = a->k_stride * (int64_t)sizeof(float),
      .next_v_stride = a->v_stride * (int64_t)sizeof(float)};
    attend(&s.tile, &tile);
  }
  for (int64_t r = 0; r < s.tile.rows; r++)
    vlm_query_store(&s, r, a->y + (first + r) * a->y_stride + head * a->head_dim);
}

vlm_status vlm_segment_attention(const vlm_segment_attention_args *a, int64_t begin, int64_t end, void *scratch, vlm_isa isa) {
  if (begin >= end) return VLM_OK;
  if (a->kv_heads <= 0 || a->heads <= 0 || a->heads % a->kv_heads || a->head_dim <= 0 || begin < 0 || !(a->softcap >= 0)) return VLM_BAD_SHAPE;
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
