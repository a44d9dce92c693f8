// Attention in products of bf16 on tiles of AMX, for steps of two tiles of query rows. Keys and values are in pairs, zeros behind them up to a
// multiple of 32 keys and 32 numbers; queries are bf16 at the beginning of their rows, zeros behind head_dim up to a multiple of 32.
//
// While a tile product runs the second vector port is taken, and vectors get half of what they have alone: as much of the softmax as that is
// stands between the products of the steps before and behind, the rest behind those. What a row's sums are depends on the keys' places alone.

enum { DEPTH = 32, SCORE_BYTES = VLM_SCORES_AMX * 4 };

// Weights of a step's rows, of the keys that any of them sees, to whole tiles.
typedef struct {
  int64_t row, rows, width;
  bool hides;     // whether a row does not see all keys of `width`
  float *scores;  // then weights, from the row's beginning on
} query_step;

// Keys or values in pairs: tiles of 16 rows of pairs (32 numbers of keys, 32 values) and 16 columns (keys, numbers of values).
typedef struct {
  const uint32_t *first;
  int64_t right, down;  // words from a tile to the next columns and to the next rows
  int64_t stride;       // bytes between rows
} pair_tiles;

// Two pieces of memory of `bytes` each that are read next, to be asked for meanwhile. Their quarters take turns, so that the hardware fetches ahead
// in eight pages at once.
typedef struct {
  const char *at, *end;  // of a turn; without an end nothing is left
  const char *pieces[2];
  int64_t bytes, turn;
  int64_t lines;  // to ask for beside each tile, a multiple of 4
} lines_ahead;

static void ask_next(lines_ahead *a) {
  enum { TURN = 512, QUARTERS = 4, PLACES = 2 * QUARTERS };
  const int64_t turns = vlm_ceil_div(a->bytes, QUARTERS * TURN), place = ++a->turn % PLACES;
  a->end = NULL;
  if (a->turn >= PLACES * turns) return;
  a->at = a->pieces[place % 2] + (place / 2 * turns + a->turn / PLACES) * TURN;
  a->end = a->at + TURN;
}

static inline lines_ahead lines_of(const void *first, const void *second, int64_t bytes, int64_t lines) {
  lines_ahead a = {.pieces = {first, second}, .bytes = bytes, .turn = -1, .lines = lines};
  ask_next(&a);
  return a;
}

// The lines beside one tile.
VLM_INLINE void ask_lines(lines_ahead *a) {
  enum { AT_ONCE = 4 };
  for (int64_t n = 0; n < a->lines && a->end; n += AT_ONCE) {
#pragma clang loop unroll(full)
    for (int i = 0; i < AT_ONCE; i++) __builtin_prefetch(a->at + 64 * i, 0, 2);
    a->at += 64 * AT_ONCE;
    if (a->at >= a->end) ask_next(a);
  }
}

// What is left of a step's softmax, and of what to ask for once that is done.
typedef struct {
  const vlm_query_tile *tile;
  const vlm_key_tile *keys;
  query_step step;
  int64_t next;         // row of the step to begin
  const float *scores;  // the next of the row that is begun, and their end
  const float *end;
  uint16_t *weights;    // where they go
  v_f32 shift;          // the greatest score
  int64_t grown;        // rows with a greater score than before, what that was, and the rows
  float before[VLM_TILES_STEP + 1];
  int64_t grown_rows[VLM_TILES_STEP + 1];
  lines_ahead *ahead;
} softmax_work;

// 2ˣ for x ≤ 0 within 1e-6 of it.
static inline float exp2_down(float x) {
  v_f32 v = v_set1(x), r = _mm512_sub_ps(v, v_round(v)), p = v_fma(v_set1(VLM_EXP2_C5), r, v_set1(VLM_EXP2_C4));
  p = v_fma(p, r, v_set1(VLM_EXP2_C3));
  p = v_fma(p, r, v_set1(VLM_EXP2_C2));
  p = v_fma(p, r, v_set1(VLM_EXP2_C1));
  return _mm512_cvtss_f32(v_scale2(v_fma(p, r, v_set1(1)), v_round(v)));
}

// 2ˣ for x ≤ 0, with half a unit of bf16 added, so that its upper half is rounded.
static inline __m512i exp2_half_up(v_f32 x) {
  v_f32 r = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  v_f32 p = v_fma(v_set1(VLM_EXP2_BF16_C4), r, v_set1(VLM_EXP2_BF16_C3));
  p = v_fma(p, r, v_set1(VLM_EXP2_BF16_C2));
  p = v_fma(p, r, v_set1(VLM_EXP2_BF16_C1));
  return _mm512_castps_si512(v_scale2(v_fma(p, r, v_set1(1 + 0x1p-8f)), x));
}

// softcap · tanh(score / softcap) of each score.
__attribute__((noinline)) static void cap_row(float *scores, int64_t width, float softcap) {
  v_f32 cap = v_set1(softcap), inverse = v_set1(1 / softcap);
  for (int64_t j = 0; j < width; j += V_WIDTH) v_store(scores + j, v_mul(cap, v_tanh(v_mul(v_load(scores + j), inverse))));
}

// Scores [begin, end) become −∞.
static void hide(float *scores, int64_t begin, int64_t end) {
  for (int64_t j = begin / V_WIDTH * V_WIDTH; j < end; j += V_WIDTH)
    v_store_part(scores + j, v_first(end - j) & (v_mask)~v_first(begin - j), v_set1(-__builtin_inff()));
}

// Of a row, hides what it does not see; of one that sees no keys makes weights of zeros, and says so.
__attribute__((noinline)) static bool hides_row(const vlm_key_tile *keys, int64_t row, float *scores, int64_t width) {
  const int64_t visible = vlm_visible(keys, row), hidden = vlm_hidden(keys, row);
  if (hidden < visible) {
    hide(scores, visible, width);
    hide(scores, 0, hidden);
    return false;
  }
  for (int64_t j = 0; j < width; j += V_WIDTH) v_store(scores + j, v_zero());
  return true;
}

// Multiplies a row's output and sum by 2^(before − most).
__attribute__((noinline)) static void rescale_row(const vlm_query_tile *tile, int64_t row, float before, float most) {
  const v_f32 kept = v_set1(exp2_down(before - most));
  float *out = tile->out + row * tile->stride, *sum = tile->sum + row * VLM_SUM_LANES;
  for (int64_t i = 0; i < tile->stride; i += V_WIDTH) v_store(out + i, v_mul(v_load(out + i), kept));
  v_store(sum, v_mul(v_load(sum), kept));
}

// The next row: its greatest score. Of one that sees no keys the weights are zeros.
__attribute__((noinline)) static void begin_row(softmax_work *w) {
  const vlm_key_tile *keys = w->keys;
  const int64_t row = w->step.row + w->next, width = w->step.width;
  float *scores = w->step.scores + w->next * VLM_SCORES_AMX;
  w->next++;
  if (keys->softcap > 0) cap_row(scores, width, keys->softcap);
  if (w->step.hides && hides_row(keys, row, scores, width)) return;
  v_f32 greatest[2] = {v_set1(-__builtin_inff()), v_set1(-__builtin_inff())};
  for (int64_t j = 0; j < width; j += DEPTH)
    for (int n = 0; n < 2; n++) greatest[n] = v_max(v_load(scores + j + n * V_WIDTH), greatest[n]);
  float before = w->tile->most[row], most = v_most(v_max(greatest[0], greatest[1]));
  // No branch, which would often go wrong. Of a row that has seen nothing the output is zeros.
  const bool grows = most > before & before > -__builtin_inff();
  w->before[w->grown] = before;
  w->grown_rows[w->grown] = row;
  w->grown += grows;
  most = most > before ? most : before;
  w->tile->most[row] = most;
  w->shift = v_set1(most);
  w->scores = scores;
  w->end = scores + width;
  w->weights = (uint16_t *)scores;
}

// The weights of the next DEPTH keys, unless all are done.
VLM_INLINE void weigh(softmax_work *w) {
  if (w->scores == w->end) {
    if (w->next == w->step.rows) return;
    begin_row(w);
    if (w->scores == w->end) return;
  }
  const __m512i first = exp2_half_up(v_sub(v_load(w->scores), w->shift)), second = exp2_half_up(v_sub(v_load(w->scores + V_WIDTH), w->shift));
  const __m512i upper_halves = _mm512_set_epi16(63, 61, 59, 57, 55, 53, 51, 49, 47, 45, 43, 41, 39, 37, 35, 33, 31, 29, 27, 25, 23, 21, 19, 17, 15, 13,
                                                11, 9, 7, 5, 3, 1);
  _mm512_storeu_si512(w->weights, _mm512_permutex2var_epi16(first, upper_halves, second));
  w->scores += DEPTH;
  w->weights += DEPTH;
}

// Tiles 0 to 3 += A · B of two tiles of rows, or one, and two of columns.
VLM_INLINE void multiply(const void *a, int64_t a_stride, const uint32_t *first, const uint32_t *second, int64_t stride, softmax_work *w,
                         const bool both) {
  _tile_loadd(4, a, a_stride);
  _tile_loadd(6, first, stride);
  ask_lines(w->ahead);
  _tile_dpbf16ps(0, 4, 6);
  weigh(w);
  if (second) {
    _tile_loadd(7, second, stride);
    ask_lines(w->ahead);
  }
  _tile_dpbf16ps(1, 4, 7);
  weigh(w);
  if (!both) return;
  _tile_loadd(5, (const char *)a + TILE_ROWS * a_stride, a_stride);
  _tile_dpbf16ps(2, 5, 6);
  weigh(w);
  _tile_dpbf16ps(3, 5, 7);
  weigh(w);
}

// The scores of a step.
VLM_INLINE void score_tiles(const vlm_query_tile *tile, const pair_tiles *keys, const query_step *s, softmax_work *w, const bool both) {
  const int64_t depths = vlm_ceil_div(tile->head_dim, DEPTH), q_stride = tile->stride * 4;
  const float *q = tile->q + s->row * tile->stride;
  const pair_tiles k = *keys;
  const uint32_t *column = k.first;
  for (int64_t j = 0; j < s->width; j += DEPTH, column += 2 * k.right) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t i = 0; i < depths; i++)
      multiply((const uint16_t *)q + i * DEPTH, q_stride, column + i * k.down, column + k.right + i * k.down, k.stride, w, both);
    _tile_stored(0, s->scores + j, SCORE_BYTES);
    _tile_stored(1, s->scores + j + V_WIDTH, SCORE_BYTES);
    if (!both) continue;
    _tile_stored(2, s->scores + TILE_ROWS * VLM_SCORES_AMX + j, SCORE_BYTES);
    _tile_stored(3, s->scores + TILE_ROWS * VLM_SCORES_AMX + j + V_WIDTH, SCORE_BYTES);
  }
}

// Pairs of ones in the first of a tile's columns.
static const uint32_t column_of_ones[TILE_ROWS][V_WIDTH] __attribute__((aligned(64))) = {
#define ONES {0x3f803f80}
    ONES, ONES, ONES, ONES, ONES, ONES, ONES, ONES, ONES, ONES, ONES, ONES, ONES, ONES, ONES, ONES};
#undef ONES

// Adds the values of a step, and its weights to the sums: a column more, of ones.
VLM_INLINE void value_tiles(const vlm_query_tile *tile, const pair_tiles *values, const query_step *s, softmax_work *w, const bool both) {
  const pair_tiles v = *values;
  const int64_t columns = tile->stride / V_WIDTH, stride = tile->stride * 4;
  float *out = tile->out + s->row * tile->stride, *sums = tile->sum + s->row * VLM_SUM_LANES;
  for (int64_t n = 0; n <= columns; n += 2, out += 2 * V_WIDTH) {
    const bool sums_only = n == columns, two = n + 1 < columns;
    float *second = two ? out + V_WIDTH : sums;
    const int64_t second_stride = two ? stride : VLM_SUM_LANES * 4;
    if (!sums_only) _tile_loadd(0, out, stride);
    _tile_loadd(1, second, second_stride);
    if (both && !sums_only) _tile_loadd(2, out + TILE_ROWS * tile->stride, stride);
    if (both) _tile_loadd(3, (char *)second + TILE_ROWS * second_stride, second_stride);
    if (!two) _tile_loadd(7, column_of_ones, TILE_BYTES);
    const uint32_t *b = v.first + n * v.right;
    const uint16_t *a = (const uint16_t *)s->scores;
    for (int64_t j = 0; j < s->width; j += DEPTH, b += v.down) {
      if (sums_only) {
        _tile_loadd(4, a + j, SCORE_BYTES);
        _tile_dpbf16ps(1, 4, 7);
        weigh(w);
        if (!both) continue;
        _tile_loadd(5, a + j + TILE_ROWS * 2 * VLM_SCORES_AMX, SCORE_BYTES);
        _tile_dpbf16ps(3, 5, 7);
        weigh(w);
      } else if (two) {
        multiply(a + j, SCORE_BYTES, b, b + v.right, v.stride, w, both);
      } else {
        multiply(a + j, SCORE_BYTES, b, NULL, v.stride, w, both);
      }
    }
    if (!sums_only) _tile_stored(0, out, stride);
    _tile_stored(1, second, second_stride);
    if (!both) continue;
    if (!sums_only) _tile_stored(2, out + TILE_ROWS * tile->stride, stride);
    _tile_stored(3, (char *)second + TILE_ROWS * second_stride, second_stride);
  }
}

__attribute__((noinline)) static void score_step(const vlm_query_tile *tile, const pair_tiles *k, const query_step *s, softmax_work *w) {
  if (s->rows > TILE_ROWS) score_tiles(tile, k, s, w, true);
  else score_tiles(tile, k, s, w, false);
}

__attribute__((noinline)) static void value_step(const vlm_query_tile *tile, const pair_tiles *v, const query_step *s,
                                                 softmax_work *w) {
  if (s->width == 0) return;
  if (s->rows > TILE_ROWS) value_tiles(tile, v, s, w, true);
  else value_tiles(tile, v, s, w, false);
}

static query_step step_at(const vlm_query_tile *tile, const vlm_key_tile *keys, int64_t i) {
  const int64_t row = i * VLM_TILES_STEP, rows = vlm_min(VLM_TILES_STEP, tile->rows - row);
  if (rows <= 0) return (query_step){.scores = NULL};
  const int64_t width = vlm_ceil_div(vlm_most_visible(keys, row, rows), DEPTH) * DEPTH;
  const bool hides = keys->reach || vlm_visible(keys, row) < width || vlm_hidden(keys, row + rows - 1) > 0;
  return (query_step){row, rows, width, hides, tile->scores + i % 2 * VLM_TILES_STEP * VLM_SCORES_AMX};
}

// The softmax of a step, of which nothing is done.
static void begin_step(softmax_work *w, const query_step *s) {
  w->step = *s;
  w->next = s->width > 0 ? 0 : s->rows;
  w->grown = 0;
}

// What is left of a step's softmax; then the step may have its values.
static void end_step(softmax_work *w) {
  while (w->scores != w->end || w->next < w->step.rows) weigh(w);
  for (int64_t i = 0; i < w->grown; i++) rescale_row(w->tile, w->grown_rows[i], w->before[i], w->tile->most[w->grown_rows[i]]);
}

// Attention of all rows: while the softmax of a step is under way its neighbours' products are. What is read next lies `ahead`, or in rows.
static void attend_tiles(const vlm_query_tile *tile, const vlm_key_tile *keys, const pair_tiles *k, const pair_tiles *v, lines_ahead *ahead,
                         const bool in_rows) {
  query_step before = {.scores = NULL}, now = step_at(tile, keys, 0);
  softmax_work work;
  work.tile = tile;
  work.keys = keys;
  work.ahead = ahead;
  work.scores = work.end = NULL;
  begin_step(&work, &before);
  score_step(tile, k, &now, &work);
  for (int64_t i = 0; now.rows > 0; i++) {
    const query_step after = step_at(tile, keys, i + 1);
    if (in_rows) vlm_prefetch_next(tile, keys, now.row, now.rows);
    begin_step(&work, &now);
    value_step(tile, v, &before, &work);
    if (after.rows > 0) score_step(tile, k, &after, &work);
    end_step(&work);
    before = now;
    now = after;
  }
  value_step(tile, v, &before, &work);
}
