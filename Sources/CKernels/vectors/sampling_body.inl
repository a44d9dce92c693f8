// What choosing a token asks of a row of logits, for one instruction set; V_NAME(name) is the name of its version. No operation is
// fused and sums have VLM_SUM_LANES lanes, so that all versions give the same bits.

#define V_PER_SUM (VLM_SUM_LANES / V_WIDTH)

static inline v_f32 greater_of(v_f32 most, v_f32 x) { return v_select(v_greater(x, most), x, most); }

int64_t V_NAME(first_greatest)(const float *x, int64_t count) {
  const v_f32 none = v_set1(-__builtin_inff());
  v_f32 most[4] = {none, none, none, none};
  int64_t i = 0;
  for (; i + 4 * V_WIDTH <= count; i += 4 * V_WIDTH)
    for (int j = 0; j < 4; j++) most[j] = greater_of(most[j], v_load(x + i + j * V_WIDTH));
  for (; i < count; i += V_WIDTH) {
    v_mask part = v_first(count - i);
    most[0] = greater_of(most[0], v_select(part, v_load_part(part, x + i), none));
  }
  const v_f32 greatest = v_set1(v_most(greater_of(greater_of(most[0], most[1]), greater_of(most[2], most[3]))));
  for (i = 0; i < count; i += V_WIDTH) {
    v_mask part = v_first(count - i);
    // Lanes beyond the end hold 0, which may be the greatest.
    uint32_t equal = v_bits(v_equal(v_load_part(part, x + i), greatest)) & v_bits(part);
    if (equal) return i + __builtin_ctz(equal);
  }
  return -1;
}

void V_NAME(block_greatest)(const float *x, int64_t count, float *y) {
  const v_f32 none = v_set1(-__builtin_inff());
  for (int64_t first = 0; first < count; first += VLM_SAMPLING_BLOCK) {
    v_f32 most = none;
    for (int64_t i = first; i < vlm_min(first + VLM_SAMPLING_BLOCK, count); i += V_WIDTH) {
      v_mask part = v_first(count - i);
      most = greater_of(most, v_select(part, v_load_part(part, x + i), none));
    }
    y[first / VLM_SAMPLING_BLOCK] = v_most(most);
  }
}

int64_t V_NAME(at_least)(const float *x, int64_t count, float least, int32_t *indices) {
  const v_f32 limit = v_set1(least);
  int64_t found = 0;
  for (int64_t i = 0; i < count; i += V_WIDTH) {
    v_mask part = v_first(count - i);
    uint32_t wanted = v_bits(v_at_least(v_load_part(part, x + i), limit)) & v_bits(part);
    for (; wanted; wanted &= wanted - 1) indices[found++] = (int32_t)(i + __builtin_ctz(wanted));
  }
  return found;
}

// eˣ for x ≤ 0, as the generic version computes it.
static inline v_f32 v_weight(v_f32 x) {
  const v_f32 magic = v_set1(0x1.8p23f);
  v_f32 shifted = v_add(v_mul(x, v_set1(VLM_LOG2E)), magic), n = v_sub(shifted, magic);
  v_f32 r = v_sub(v_sub(x, v_mul(n, v_set1(VLM_LN2_HIGH))), v_mul(n, v_set1(VLM_LN2_LOW)));
  v_f32 p = v_set1(VLM_EXP_C6);
  p = v_add(v_mul(p, r), v_set1(VLM_EXP_C5));
  p = v_add(v_mul(p, r), v_set1(VLM_EXP_C4));
  p = v_add(v_mul(p, r), v_set1(VLM_EXP_C3));
  p = v_add(v_mul(p, r), v_set1(VLM_EXP_C2));
  p = v_add(v_set1(1), v_add(v_mul(v_mul(r, r), p), r));
  return v_select(v_at_least(x, v_set1(VLM_WEIGHT_LOW)), v_scale2_bits(p, shifted), v_zero());
}

static inline v_f32 row_weight(const vlm_sampling_weights_args *a, v_f32 x) {
  v_f32 w = v_weight(v_div(v_sub(x, v_set1(a->top)), v_set1(a->temperature)));
  w = v_select(v_at_least(x, v_set1(a->limit)), w, v_zero());
  return v_select(v_less(w, v_set1(a->least)), v_zero(), w);
}

void V_NAME(sampling_weights)(const vlm_sampling_weights_args *a, int64_t begin, int64_t end) {
  for (int64_t chunk = begin; chunk < end; chunk++) {
    v_f32 sums[V_PER_SUM];
    for (int j = 0; j < V_PER_SUM; j++) sums[j] = v_zero();
    int64_t i = chunk * VLM_SAMPLING_CHUNK, last = vlm_min(i + VLM_SAMPLING_CHUNK, a->count);
    for (; i + VLM_SUM_LANES <= last; i += VLM_SUM_LANES)
      for (int j = 0; j < V_PER_SUM; j++) {
        v_f32 w = row_weight(a, v_load(a->x + i + j * V_WIDTH));
        if (a->y) v_store(a->y + i + j * V_WIDTH, w);
        sums[j] = v_add(sums[j], w);
      }
    for (int j = 0; j < V_PER_SUM && i + j * V_WIDTH < last; j++) {
      v_mask part = v_first(last - i - j * V_WIDTH);
      v_f32 w = v_select(part, row_weight(a, v_load_part(part, a->x + i + j * V_WIDTH)), v_zero());
      if (a->y) v_store_part(a->y + i + j * V_WIDTH, part, w);
      sums[j] = v_add(sums[j], w);
    }
    float lanes[VLM_SUM_LANES];
    for (int j = 0; j < V_PER_SUM; j++) v_store(lanes + j * V_WIDTH, sums[j]);
    a->sums[chunk] = vlm_fold_lanes(lanes);
  }
}
