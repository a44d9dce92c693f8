#include "attention.h"

static int64_t group_size(const vlm_paged_attention_args *a) { return a->heads / a->layout.kv_heads; }

// Query positions of one work item: all heads of a group for as many positions as fit.
static int64_t tile_queries(int64_t group) { return vlm_max(1, VLM_PAGED_ROWS / group); }

static bool valid_layout(const vlm_kv_layout *l) {
  if (l->dtype != VLM_F32 && l->dtype != VLM_BF16) return false;
  if (l->kv_heads <= 0 || l->head_dim <= 0 || l->block_size <= 0) return false;
  return l->block_size % 16 == 0 && l->block_size <= VLM_KEYS_MAX && l->head_stride >= l->head_dim * l->block_size;
}

static int64_t sequence_items(const vlm_paged_attention_args *a, int64_t s) {
  return vlm_ceil_div(vlm_max(0, a->query_count[s]), tile_queries(group_size(a))) * a->layout.kv_heads;
}

static bool valid(const vlm_paged_attention_args *a) {
  return valid_layout(&a->layout) && a->heads > 0 && a->heads % a->layout.kv_heads == 0 && a->window >= 0 && a->softcap >= 0;
}

int64_t vlm_paged_attention_items(const vlm_paged_attention_args *a) {
  int64_t items = 0;
  if (!valid(a)) return 0;
  for (int64_t s = 0; s < a->sequences; s++) items += sequence_items(a, s);
  return items;
}

static int64_t scratch_rows(const vlm_kv_layout *l, int64_t heads) { return vlm_max(VLM_PAGED_ROWS, heads / l->kv_heads); }

size_t vlm_paged_attention_scratch_bytes(const vlm_kv_layout *l, int64_t heads) {
  return valid_layout(l) ? vlm_attention_scratch_bytes(scratch_rows(l, heads), l->head_dim, l->block_size) : 0;
}

// `count` rows of V as f32, padded to the tile's stride.
static void widen_values(const vlm_kv_layout *l, const void *v_cache, int64_t offset, int64_t count, vlm_attention_scratch *s,
                         vlm_isa isa) {
  for (int64_t j = 0; j < count; j++) {
    int64_t at = offset + j * l->head_dim;
    float *y = s->v + j * s->tile.stride;
    if (l->dtype == VLM_F32) __builtin_memcpy(y, (const float *)v_cache + at, (size_t)l->head_dim * sizeof(float));
    else vlm_bf16_to_f32((const uint16_t *)v_cache + at, y, 0, l->head_dim, isa);
  }
}

// The first `count` keys and values of a block: in place, or as f32 in scratch.
static vlm_key_tile block_keys(const vlm_paged_attention_args *a, vlm_attention_scratch *s, int64_t block, int64_t head,
                               int64_t count, vlm_isa isa) {
  const vlm_kv_layout *l = &a->layout;
  int64_t offset = block * l->block_stride + head * l->head_stride;
  vlm_key_tile keys = {.count = count, .k = (const float *)a->k_cache + offset, .k_stride = l->block_size,
                       .v = (const float *)a->v_cache + offset, .v_stride = l->head_dim};
  bool whole = l->head_dim == s->tile.stride;
  if (l->dtype == VLM_BF16 && whole && s->tile.rows <= VLM_DIRECT_ROWS && vlm_has(isa, VLM_ISA_AVX2)) {
    keys.bf16 = true;
    keys.k = (const uint16_t *)a->k_cache + offset;
    keys.v = (const uint16_t *)a->v_cache + offset;
    return keys;
  }
  if (l->dtype == VLM_BF16) {
    vlm_bf16_to_f32((const uint16_t *)a->k_cache + offset, s->k, 0, l->head_dim * l->block_size, isa);
    keys.k = s->k;
  }
  if (l->dtype == VLM_BF16 || !whole) {
    widen_values(l, a->v_cache, offset, count, s, isa);
    keys.v = s->v;
    keys.v_stride = s->tile.stride;
  }
  return keys;
}

// The end of the keys that queries [first, first + queries) of a sequence see.
static int64_t seen_end(const vlm_paged_attention_args *a, int64_t row0, int64_t queries, int64_t causal_end) {
  for (int64_t i = 0; a->reach && i < queries; i++) causal_end = vlm_max(causal_end, a->reach[row0 + i] + 1);
  return causal_end;
}

static void paged_item(const vlm_paged_attention_args *a, int64_t sequence, int64_t head, int64_t first, void *scratch, vlm_isa isa) {
  const vlm_kv_layout *l = &a->layout;
  vlm_attend_fn *attend = vlm_attend_version(isa);
  int64_t group = group_size(a), queries = vlm_min(tile_queries(group), a->query_count[sequence] - first);
  vlm_attention_scratch s = vlm_attention_scratch_of(scratch, scratch_rows(l, a->heads), l->head_dim, l->block_size);
  int64_t row0 = a->query_start[sequence] + first, column0 = head * group * l->head_dim;
  int64_t first_visible = a->context_length[sequence] - a->query_count[sequence] + first + 1;
  int64_t visible = seen_end(a, row0, queries, first_visible + queries - 1);
  int64_t first_hidden = a->window > 0 ? first_visible - a->window : VLM_NO_WINDOW;
  s.tile.rows = queries * group;
  for (int64_t r = 0; r < s.tile.rows; r++)
    vlm_query_load(&s, r, a->q + (row0 + r / group) * a->q_stride + column0 + r % group * l->head_dim, a->scale);
  for (int64_t j = vlm_max(0, first_hidden) / l->block_size * l->block_size; j < visible; j += l->block_size) {
    int64_t block = a->block_table[sequence * a->table_stride + j / l->block_size];
    vlm_key_tile keys = block_keys(a, &s, block, head, vlm_min(l->block_size, visible - j), isa);
    keys.first_limit = first_visible - j;
    keys.rows_per_query = group;
    keys.first_hidden = first_hidden - j;
    keys.position = j;
    keys.reach = a->reach ? a->reach + row0 : NULL;
    keys.softcap = a->softcap * VLM_LOG2E;
    attend(&s.tile, &keys);
  }
  for (int64_t r = 0; r < s.tile.rows; r++)
    vlm_query_store(&s, r, a->y + (row0 + r / group) * a->y_stride + column0 + r % group * l->head_dim);
}

static vlm_status check_sequence(const vlm_paged_attention_args *a, int64_t s) {
  int64_t blocks = vlm_ceil_div(a->context_length[s], a->layout.block_size);
  if (a->query_start[s] < 0 || a->query_count[s] < 0 || a->context_length[s] < a->query_count[s]) return VLM_BAD_SHAPE;
  if (a->query_count[s] == 0) return VLM_OK;
  if (blocks > a->table_stride) return VLM_BAD_SHAPE;
  for (int64_t i = 0; a->reach && i < a->query_count[s]; i++) {
    int64_t reach = a->reach[a->query_start[s] + i], position = (int64_t)a->context_length[s] - a->query_count[s] + i;
    if (reach < position || reach >= a->context_length[s]) return VLM_BAD_INDEX;
  }
  for (int64_t i = 0; i < blocks; i++) {
    int32_t block = a->block_table[s * a->table_stride + i];
    if (block < 0 || block >= a->blocks) return VLM_BAD_INDEX;
  }
  return VLM_OK;
}

vlm_status vlm_paged_attention(const vlm_paged_attention_args *a, int64_t begin, int64_t end, void *scratch, vlm_isa isa) {
  if (begin >= end) return VLM_OK;
  if (!valid(a) || begin < 0 || end > vlm_paged_attention_items(a)) return VLM_BAD_SHAPE;
  if (!vlm_is_aligned(scratch)) return VLM_BAD_ALIGNMENT;
  for (int64_t s = 0; s < a->sequences; s++) {
    vlm_status status = check_sequence(a, s);
    if (status != VLM_OK) return status;
  }
  int64_t item = 0;
  for (int64_t s = 0; s < a->sequences && item < end; s++) {
    int64_t items = sequence_items(a, s), tiles = items / a->layout.kv_heads;
    for (int64_t i = vlm_max(0, begin - item); i < vlm_min(items, end - item); i++)
      paged_item(a, s, i / tiles, i % tiles * tile_queries(group_size(a)), scratch, isa);
    item += items;
  }
  return VLM_OK;
}

// One head of one token: K down a column of its block, V along a row.
static void write_head(const vlm_kv_write_args *a, int64_t token, int64_t slot, int64_t head) {
  const vlm_kv_layout *l = &a->layout;
  const float *k = a->k + token * a->k_stride + head * l->head_dim, *v = a->v + token * a->v_stride + head * l->head_dim;
  int64_t base = slot / l->block_size * l->block_stride + head * l->head_stride, inside = slot % l->block_size;
  for (int64_t i = 0; i < l->head_dim; i++) {
    int64_t k_at = base + i * l->block_size + inside, v_at = base + inside * l->head_dim + i;
    if (l->dtype == VLM_F32) {
      ((float *)a->k_cache)[k_at] = k[i];
      ((float *)a->v_cache)[v_at] = v[i];
    } else {
      ((uint16_t *)a->k_cache)[k_at] = vlm_to_bf16(k[i]);
      ((uint16_t *)a->v_cache)[v_at] = vlm_to_bf16(v[i]);
    }
  }
}

vlm_status vlm_kv_write(const vlm_kv_write_args *a, int64_t begin, int64_t end, vlm_isa isa) {
  (void)isa;
  if (!valid_layout(&a->layout)) return VLM_BAD_SHAPE;
  for (int64_t t = begin; t < end; t++) {
    int64_t slot = a->slots[t];
    if (slot == -1) continue;
    if (slot < 0 || slot >= a->blocks * a->layout.block_size) return VLM_BAD_INDEX;
    for (int64_t h = 0; h < a->layout.kv_heads; h++) write_head(a, t, slot, h);
  }
  return VLM_OK;
}
