#include "attention.h"

static int64_t group_size(const vlm_paged_attention_args *a) { return a->heads / a->layout.kv_heads; }

// Query positions of one work item: all heads of a group for as many positions as fit.
static int64_t tile_queries(int64_t group) { return vlm_max(1, VLM_PAGED_ROWS / group); }

static int64_t element_bytes(const vlm_kv_layout *l) { return l->dtype == VLM_F32 ? 4 : 2; }

static bool valid_layout(const vlm_kv_layout *l) {
  if (l->dtype != VLM_F32 && l->dtype != VLM_BF16) return false;
  if (l->kv_heads <= 0 || l->head_dim <= 0 || l->block_size <= 0) return false;
  if (l->dtype == VLM_BF16 && (l->head_dim % 2 || l->head_stride % 2 || l->block_stride % 2)) return false;
  return l->block_size % 16 == 0 && l->block_size <= VLM_KEYS_MAX && l->head_stride >= l->head_dim * l->block_size;
}

static bool valid(const vlm_paged_attention_args *a) {
  return valid_layout(&a->layout) && a->heads > 0 && a->heads % a->layout.kv_heads == 0 && a->window >= 0 && a->softcap >= 0;
}

// Tokens of a chunk of the context: whole blocks.
static int64_t chunk_tokens(const vlm_kv_layout *l) { return VLM_CONTEXT_CHUNK / l->block_size * l->block_size; }

// Positions that the queries [first, first + queries) of a sequence see, each some of them.
typedef struct {
  int64_t begin, end;
} key_range;

static key_range seen(const vlm_paged_attention_args *a, int64_t sequence, int64_t first, int64_t queries) {
  int64_t row0 = a->query_start[sequence] + first, before = (int64_t)a->context_length[sequence] - a->query_count[sequence] + first;
  key_range keys = {a->window > 0 ? vlm_max(0, before + 1 - a->window) : 0, before + queries};
  for (int64_t i = 0; a->reach && i < queries; i++) keys.end = vlm_max(keys.end, (int64_t)a->reach[row0 + i] + 1);
  keys.end = vlm_min(keys.end, a->context_length[sequence]);
  return keys;
}

// How the work on a sequence is shared out.
typedef struct {
  int64_t tiles;                // of queries
  int64_t first_chunk, chunks;  // of the context, that any query sees
  int64_t partial;              // first of its partials; −1: an item goes through all chunks
  int64_t items;
} work_plan;

// Whether a sequence has queries, and lengths that fit each other.
static bool has_work(const vlm_paged_attention_args *a, int64_t s) {
  return a->query_start[s] >= 0 && a->query_count[s] > 0 && a->context_length[s] >= a->query_count[s];
}

// `used` partials belong to the sequences before.
static work_plan plan_of(const vlm_paged_attention_args *a, int64_t s, int64_t *used) {
  if (!has_work(a, s)) return (work_plan){.partial = -1};
  int64_t count = a->query_count[s], tokens = chunk_tokens(&a->layout);
  key_range keys = seen(a, s, 0, count);
  work_plan plan = {.tiles = vlm_ceil_div(count, tile_queries(group_size(a))), .first_chunk = keys.begin / tokens, .partial = -1};
  plan.chunks = vlm_ceil_div(keys.end, tokens) - plan.first_chunk;
  plan.items = plan.tiles * a->layout.kv_heads;
  int64_t partials = count * a->heads * plan.chunks;
  if (!a->partials || plan.chunks < 2 || partials > a->partial_count - *used) return plan;
  plan.partial = *used;
  plan.items *= plan.chunks;
  *used += partials;
  return plan;
}

int64_t vlm_paged_attention_items(const vlm_paged_attention_args *a) {
  int64_t items = 0, used = 0;
  if (!valid(a)) return 0;
  for (int64_t s = 0; s < a->sequences; s++) items += plan_of(a, s, &used).items;
  return items;
}

static int64_t scratch_rows(const vlm_kv_layout *l, int64_t heads) { return vlm_max(VLM_PAGED_ROWS, heads / l->kv_heads); }

size_t vlm_paged_attention_scratch_bytes(const vlm_kv_layout *l, int64_t heads) {
  if (!valid_layout(l)) return 0;
  int64_t rows = scratch_rows(l, heads);
  return vlm_attention_scratch_bytes(rows, l->head_dim, l->block_size) + (size_t)rows * vlm_paged_partial_bytes(l);
}

size_t vlm_paged_partial_bytes(const vlm_kv_layout *l) { return (size_t)vlm_partial_floats(l->head_dim) * sizeof(float); }

// Rows of f32 or of pairs, y[y_rows, y_stride] from x[rows, columns]; what is more of y is zeros.
static void pad(const void *x, int64_t rows, int64_t columns, float *y, int64_t y_rows, int64_t y_stride) {
  __builtin_memset(y, 0, (size_t)(y_rows * y_stride) * sizeof(float));
  for (int64_t r = 0; r < rows; r++) __builtin_memcpy(y + r * y_stride, (const float *)x + r * columns, (size_t)columns * sizeof(float));
}

// Pairs x[rows, columns] as f32, y[2 · rows, y_stride].
static void widen(const uint32_t *x, int64_t rows, int64_t columns, float *y, int64_t y_stride) {
  for (int64_t r = 0; r < rows; r++, x += columns, y += 2 * y_stride)
    for (int64_t i = 0; i < columns; i++) {
      y[i] = vlm_from_bits(x[i] << 16);
      y[y_stride + i] = vlm_from_bits(x[i] & 0xffff0000);
    }
}

// The keys and values of a block for tiles of AMX, which are whole: those of part of a tile are padded in scratch.
static vlm_key_tile block_tiles(const vlm_kv_layout *l, vlm_attention_scratch *s, vlm_key_tile keys) {
  enum { TILE = 32 };
  int64_t stride = s->tile.stride, count = keys.count, columns = vlm_ceil_div(l->block_size, TILE) * TILE;
  if (l->head_dim % TILE || columns != l->block_size) {
    pad(keys.k, l->head_dim / 2, l->block_size, s->k, vlm_ceil_div(l->head_dim, TILE) * (TILE / 2), columns);
    keys.k = s->k;
    keys.k_stride = columns;
  }
  if (l->head_dim == stride && count % TILE == 0) return keys;
  pad(keys.v, vlm_ceil_div(count, 2), l->head_dim, s->v, vlm_ceil_div(count, TILE) * (TILE / 2), stride);
  for (int64_t i = 0; i < stride && count % 2; i++) ((uint32_t *)s->v)[count / 2 * stride + i] &= 0xffff;
  keys.v = s->v;
  keys.v_stride = stride;
  return keys;
}

// The keys or values of a kv head in a block.
static const char *block_at(const vlm_paged_attention_args *a, const void *cache, int64_t block, int64_t head) {
  return (const char *)cache + (block * a->layout.block_stride + head * a->layout.head_stride) * element_bytes(&a->layout);
}

// The first `count` keys and values of a block: in place, or in scratch, padded or as f32.
static vlm_key_tile block_keys(const vlm_paged_attention_args *a, vlm_attention_scratch *s, int64_t block, int64_t head,
                               int64_t count, vlm_isa isa) {
  const vlm_kv_layout *l = &a->layout;
  const char *k = block_at(a, a->k_cache, block, head), *v = block_at(a, a->v_cache, block, head);
  vlm_key_tile keys = {.count = count, .k = k, .k_stride = l->block_size, .v = v, .v_stride = l->head_dim};
  bool whole = l->head_dim == s->tile.stride, few = s->tile.rows <= VLM_DIRECT_ROWS, bf16 = l->dtype == VLM_BF16;
  keys.streams = whole && few;
  keys.bf16 = bf16 && (vlm_has(isa, VLM_FEATURES_BF16) || (keys.streams && vlm_has(isa, VLM_FEATURES_VECTORS)));
  if (bf16 && vlm_has(isa, VLM_FEATURES_AMX)) return block_tiles(l, s, keys);
  if (keys.bf16 == bf16 && whole) return keys;
  int64_t rows = bf16 ? vlm_ceil_div(count, 2) : count;
  keys.v = s->v;
  keys.v_stride = s->tile.stride;
  if (keys.bf16 == bf16) {
    pad(v, rows, l->head_dim, s->v, rows, keys.v_stride);
  } else {
    widen((const uint32_t *)(const void *)k, l->head_dim / 2, l->block_size, s->k, l->block_size);
    widen((const uint32_t *)(const void *)v, rows, l->head_dim, s->v, keys.v_stride);
    keys.k = s->k;
  }
  return keys;
}

// A query tile against chunks of the context.
typedef struct {
  int64_t sequence, head, first;  // kv head and first query
  int64_t chunk, chunks;
  int64_t partial;                // of the tile's first row in the first chunk; −1: in scratch, and then to y
} paged_item;

// Item i of a sequence: the chunks of a tile follow each other.
static paged_item item_at(const vlm_paged_attention_args *a, int64_t sequence, const work_plan *plan, int64_t i) {
  int64_t apart = plan->partial >= 0 ? plan->chunks : 1, chunk = i % apart, tile = i / apart % plan->tiles, head = i / apart / plan->tiles;
  int64_t first = tile * tile_queries(group_size(a)), heads = a->layout.kv_heads, rows = a->query_count[sequence] * group_size(a);
  return (paged_item){sequence, head, first, plan->first_chunk + chunk, plan->chunks / apart,
                      plan->partial < 0 ? -1 : plan->partial + (chunk * heads + head) * rows + first * group_size(a)};
}

static int64_t item_queries(const vlm_paged_attention_args *a, const paged_item *item) {
  return vlm_min(tile_queries(group_size(a)), a->query_count[item->sequence] - item->first);
}

// The blocks of an item, in tokens; none where begin ≥ end.
static key_range item_keys(const vlm_paged_attention_args *a, const paged_item *item) {
  int64_t tokens = chunk_tokens(&a->layout);
  key_range keys = seen(a, item->sequence, item->first, item_queries(a, item));
  keys.begin = vlm_max(keys.begin / a->layout.block_size * a->layout.block_size, item->chunk * tokens);
  keys.end = vlm_min(keys.end, (item->chunk + item->chunks) * tokens);
  return keys;
}

// Has the block at position `j` of an item prefetched; without an item nothing new.
static void prefetch_block(const vlm_paged_attention_args *a, const paged_item *item, int64_t j, vlm_key_tile *keys) {
  const vlm_kv_layout *l = &a->layout;
  keys->next_k = keys->k;
  keys->next_v = keys->v;
  if (!item) return;
  int64_t block = a->block_table[item->sequence * a->table_stride + j / l->block_size];
  keys->next_k = block_at(a, a->k_cache, block, item->head);
  keys->next_v = block_at(a, a->v_cache, block, item->head);
  keys->next_count = l->block_size;
  keys->next_bytes = keys->next_k_stride = keys->next_v_stride = l->head_dim * element_bytes(l);
}

static void load_rows(const vlm_paged_attention_args *a, const paged_item *item, vlm_attention_scratch *s) {
  int64_t group = group_size(a), dim = a->layout.head_dim, row0 = a->query_start[item->sequence] + item->first;
  s->tile.rows = item_queries(a, item) * group;
  for (int64_t r = 0; r < s->tile.rows; r++)
    vlm_query_load(s, r, a->q + (row0 + r / group) * a->q_stride + (item->head * group + r % group) * dim, a->scale);
}

// Computes an item; `next` is the one after it, or NULL.
static void run_item(const vlm_paged_attention_args *a, const paged_item *item, const paged_item *next, void *scratch, vlm_isa isa) {
  const vlm_kv_layout *l = &a->layout;
  vlm_attend_fn *attend = vlm_attend_version(isa);
  vlm_fold_fn *fold = vlm_fold_version(isa);
  vlm_attention_scratch s = vlm_attention_scratch_of(scratch, scratch_rows(l, a->heads), l->head_dim, l->block_size);
  int64_t group = group_size(a), stride = vlm_partial_floats(l->head_dim), row0 = a->query_start[item->sequence] + item->first;
  int64_t first_visible = (int64_t)a->context_length[item->sequence] - a->query_count[item->sequence] + item->first + 1;
  int64_t tokens = chunk_tokens(l), first_hidden = a->window > 0 ? first_visible - a->window : VLM_NO_WINDOW;
  float *partials = item->partial < 0 ? s.end : a->partials + item->partial * stride;
  key_range range = item_keys(a, item);
  load_rows(a, item, &s);
  for (int64_t r = 0; r < s.tile.rows; r++) vlm_partial_clear(partials + r * stride);
  for (int64_t j = range.begin; j < range.end; j += l->block_size) {
    int64_t block = a->block_table[item->sequence * a->table_stride + j / l->block_size], after = j + l->block_size;
    vlm_key_tile keys = block_keys(a, &s, block, item->head, vlm_min(l->block_size, range.end - j), isa);
    keys.first_limit = first_visible - j;
    keys.rows_per_query = group;
    keys.first = j == range.begin;
    keys.last = after >= range.end;
    keys.first_hidden = first_hidden - j;
    keys.position = j;
    keys.reach = a->reach ? a->reach + row0 : NULL;
    keys.softcap = a->softcap * VLM_LOG2E;
    if (after < range.end) prefetch_block(a, item, after, &keys);
    else prefetch_block(a, next, next ? item_keys(a, next).begin : 0, &keys);
    attend(&s.tile, &keys);
    if (after % tokens != 0 && after < range.end) continue;
    for (int64_t r = 0; r < s.tile.rows; r++) vlm_query_fold(&s, r, partials + r * stride, fold);
  }
  if (item->partial >= 0) return;
  for (int64_t r = 0; r < s.tile.rows; r++) {
    float *y = a->y + (row0 + r / group) * a->y_stride + (item->head * group + r % group) * l->head_dim;
    vlm_partial_store(partials + r * stride, l->head_dim, y);
  }
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
  if (!valid(a) || begin < 0) return VLM_BAD_SHAPE;
  if (!vlm_is_aligned(scratch) || !vlm_is_aligned(a->partials)) return VLM_BAD_ALIGNMENT;
  for (int64_t s = 0; s < a->sequences; s++) {
    vlm_status status = check_sequence(a, s);
    if (status != VLM_OK) return status;
  }
  if (end > vlm_paged_attention_items(a)) return VLM_BAD_SHAPE;
  int64_t before = 0, used = 0;
  paged_item item, next;
  bool waits = false;  // whether `item` is one to compute
  for (int64_t s = 0; s < a->sequences && before < end; s++) {
    work_plan plan = plan_of(a, s, &used);
    for (int64_t i = vlm_max(0, begin - before); i < vlm_min(plan.items, end - before); i++) {
      next = item_at(a, s, &plan, i);
      if (waits) run_item(a, &item, &next, scratch, isa);
      item = next;
      waits = true;
    }
    before += plan.items;
  }
  if (waits) run_item(a, &item, NULL, scratch, isa);
  return VLM_OK;
}

int64_t vlm_paged_attention_merges(const vlm_paged_attention_args *a) {
  int64_t merges = 0, used = 0;
  if (!valid(a)) return 0;
  for (int64_t s = 0; s < a->sequences; s++)
    if (plan_of(a, s, &used).partial >= 0) merges += a->query_count[s] * a->heads;
  return merges;
}

// Merges the chunks of one row of a query head, in their order.
static void merge_row(const vlm_paged_attention_args *a, int64_t sequence, const work_plan *plan, int64_t query, int64_t head,
                      vlm_isa isa) {
  vlm_fold_fn *fold = vlm_fold_version(isa);
  int64_t group = group_size(a), rows = a->query_count[sequence] * group, dim = a->layout.head_dim, stride = vlm_partial_floats(dim);
  float *total = a->partials + (plan->partial + head / group * rows + query * group + head % group) * stride;
  for (int64_t c = 1; c < plan->chunks; c++) {
    const float *partial = total + c * a->layout.kv_heads * rows * stride;
    vlm_partial_fold(total, partial[0], partial[1], partial + VLM_PARTIAL_HEAD, dim, fold);
  }
  vlm_partial_store(total, dim, a->y + (a->query_start[sequence] + query) * a->y_stride + head * dim);
}

vlm_status vlm_paged_attention_merge(const vlm_paged_attention_args *a, int64_t begin, int64_t end, vlm_isa isa) {
  if (begin >= end) return VLM_OK;
  if (!valid(a) || begin < 0 || end > vlm_paged_attention_merges(a)) return VLM_BAD_SHAPE;
  int64_t before = 0, used = 0;
  for (int64_t s = 0; s < a->sequences && before < end; s++) {
    work_plan plan = plan_of(a, s, &used);
    int64_t merges = plan.partial >= 0 ? a->query_count[s] * a->heads : 0;
    for (int64_t i = vlm_max(0, begin - before); i < vlm_min(merges, end - before); i++)
      merge_row(a, s, &plan, i / a->heads, i % a->heads, isa);
    before += merges;
  }
  return VLM_OK;
}

// Numbers of a head that are rounded at once.
enum { WRITE_PART = 128 };

// One head of one token: K down a column of its block, V along a row; in bf16 of pairs.
static void write_head(const vlm_kv_write_args *a, int64_t token, int64_t slot, int64_t head, vlm_isa isa) {
  const vlm_kv_layout *l = &a->layout;
  const float *k = a->k + token * a->k_stride + head * l->head_dim, *v = a->v + token * a->v_stride + head * l->head_dim;
  int64_t base = slot / l->block_size * l->block_stride + head * l->head_stride, inside = slot % l->block_size;
  if (l->dtype == VLM_F32) {
    float *keys = (float *)a->k_cache + base + inside, *values = (float *)a->v_cache + base + inside * l->head_dim;
    for (int64_t i = 0; i < l->head_dim; i++) keys[i * l->block_size] = k[i];
    __builtin_memcpy(values, v, (size_t)l->head_dim * sizeof(float));
    return;
  }
  uint32_t *keys = (uint32_t *)a->k_cache + base / 2 + inside;
  uint16_t *values = (uint16_t *)a->v_cache + base + inside / 2 * 2 * l->head_dim + inside % 2;
  for (int64_t i = 0; i < l->head_dim; i += WRITE_PART) {
    int64_t count = vlm_min(WRITE_PART, l->head_dim - i);
    uint16_t k_part[WRITE_PART], v_part[WRITE_PART];
    vlm_f32_to_bf16(k + i, k_part, 0, count, isa);
    vlm_f32_to_bf16(v + i, v_part, 0, count, isa);
    for (int64_t j = 0; j < count; j += 2) keys[(i + j) / 2 * l->block_size] = k_part[j] | (uint32_t)k_part[j + 1] << 16;
    for (int64_t j = 0; j < count; j++) values[2 * (i + j)] = v_part[j];
  }
}

vlm_status vlm_kv_write(const vlm_kv_write_args *a, int64_t begin, int64_t end, vlm_isa isa) {
  if (!valid_layout(&a->layout)) return VLM_BAD_SHAPE;
  for (int64_t t = begin; t < end; t++) {
    int64_t slot = a->slots[t];
    if (slot == -1) continue;
    if (slot < 0 || slot >= a->blocks * a->layout.block_size) return VLM_BAD_INDEX;
    for (int64_t h = 0; h < a->layout.kv_heads; h++) write_head(a, t, slot, h, isa);
  }
  return VLM_OK;
}
