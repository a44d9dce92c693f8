#include "attention.h"

void vlm_balance_generic(const float *k, int64_t k_stride, int64_t count, int64_t head_dim, vlm_balance b) {
  for (int64_t i = 0; i < head_dim; i++) {
    float sum = 0;
    for (int64_t j = 0; j < count; j += VLM_BALANCE_STEP) sum += vlm_abs1(k[j * k_stride + i]);
    vlm_balance_of(sum, count, b.queries + i, b.keys + i);
  }
}

// The bits of the greatest magnitude.
static uint32_t greatest_bits(const float *x, int64_t count, int64_t stride) {
  uint32_t greatest = 0;
  for (int64_t i = 0; i < count; i++) {
    const uint32_t magnitude = vlm_bits(x[i * stride]) & 0x7fffffff;
    if (magnitude > greatest) greatest = magnitude;
  }
  return greatest;
}

static float code_row(const float *x, const float *balance, int64_t head_dim, int16_t *codes) {
  uint32_t greatest = 0;
  for (int64_t i = 0; i < head_dim; i++) {
    const float number = x[i] * balance[i];
    const uint32_t bits = greatest_bits(&number, 1, 1);
    if (bits > greatest) greatest = bits;
  }
  const vlm_i16_rounding rounding = vlm_i16_rounding_to(greatest, vlm_query_code_most(head_dim));
  for (int64_t i = 0; i < vlm_ceil_div(head_dim, 2) * 2; i++) codes[i] = i < head_dim ? vlm_i16_code(x[i] * balance[i], rounding.inverse) : 0;
  return rounding.scale;
}

void vlm_code_query_generic(const float *x, const float *balance, int64_t head_dim, float scale, int16_t *codes, float *row_scale) {
  *row_scale = code_row(x, balance, head_dim, codes) * (scale * VLM_LOG2E);
}

static uint32_t pair_of(int16_t low, int16_t high) { return (uint16_t)low | (uint32_t)(uint16_t)high << 16; }
static int32_t low_of(uint32_t pair) { return (int16_t)(uint16_t)pair; }
static int32_t high_of(uint32_t pair) { return (int16_t)(uint16_t)(pair >> 16); }

void vlm_code_keys_generic(vlm_coded_keys *p) {
  const int64_t pairs = vlm_ceil_div(p->head_dim, 2);
  p->spoilt = 0;
  for (int64_t j = 0; j < p->count; j++) {
    p->k_scale[j] = code_row(p->k + j * p->k_stride, p->balance, p->head_dim, p->rows);
    p->spoilt += 0 * p->k_scale[j];
    uint32_t *k = p->coded_k + j / VLM_PANEL * pairs * VLM_PANEL + j % VLM_PANEL;
    for (int64_t i = 0; i < pairs; i++) k[i * VLM_PANEL] = pair_of(p->rows[2 * i], p->rows[2 * i + 1]);
  }
  for (int64_t i = 0; i < p->head_dim; i++) {
    const vlm_i16_rounding rounding = vlm_i16_rounding_to(greatest_bits(p->v + i, p->count, p->v_stride), VLM_VALUE_CODE_MOST);
    p->v_scale[i] = rounding.scale;
    for (int64_t j = 0; j < p->count; j += 2) {
      const float *v = p->v + j * p->v_stride + i;
      const int16_t next = j + 1 < p->count ? vlm_i16_code(v[p->v_stride], rounding.inverse) : 0;
      p->coded_v[j / 2 * p->stride + i] = pair_of(vlm_i16_code(v[0], rounding.inverse), next);
    }
  }
}

// 2ˣ for x ≤ 0, as the vector versions have it.
static float exp2_negative(float x) {
  if (x < -125) x = -125;
  const float shifted = x + 0x1.8p23f, r = x - (shifted - 0x1.8p23f);
  float p = vlm_fma1(VLM_EXP2_C5, r, VLM_EXP2_C4);
  p = vlm_fma1(p, r, VLM_EXP2_C3);
  p = vlm_fma1(p, r, VLM_EXP2_C2);
  p = vlm_fma1(p, r, VLM_EXP2_C1);
  return vlm_from_bits(vlm_bits(vlm_fma1(p, r, 1)) + (vlm_bits(shifted) << 23));
}

// The code of 2ˣ for x ≤ 0; 0 for NaN.
static int32_t weight_code(float x) {
  if (!(x >= -126)) return 0;
  const float whole = vlm_round1(x), r = x - whole;
  float p = vlm_fma1(VLM_WEIGHT_CODE_MOST * VLM_EXP2_CODE_C3, r, VLM_WEIGHT_CODE_MOST * VLM_EXP2_CODE_C2);
  p = vlm_fma1(p, r, VLM_WEIGHT_CODE_MOST * VLM_EXP2_CODE_C1);
  p = vlm_fma1(p, r, VLM_WEIGHT_CODE_MOST);
  return (int32_t)vlm_round1(p * vlm_from_bits((uint32_t)((int32_t)whole + 127) << 23));
}

// Scores of a row; returns the greatest.
static float score_row(const vlm_query_tile *tile, const vlm_key_tile *keys, const vlm_coded_keys *coded, int64_t row) {
  const int16_t *q = (const int16_t *)(tile->q + row * tile->stride);
  const int64_t pairs = vlm_ceil_div(tile->head_dim, 2);
  float most = -__builtin_inff();
  for (int64_t j = 0; j < keys->count; j++) {
    const uint32_t *k = coded->coded_k + j / VLM_PANEL * pairs * VLM_PANEL + j % VLM_PANEL;
    int32_t dot = 0;
    for (int64_t i = 0; i < pairs; i++) {
      dot += q[2 * i] * low_of(k[i * VLM_PANEL]);
      if (2 * i + 1 < tile->head_dim) dot += q[2 * i + 1] * high_of(k[i * VLM_PANEL]);
    }
    float score = (float)dot * coded->k_scale[j] * *vlm_coded_scale(tile, row);
    if (keys->softcap > 0) score = keys->softcap * vlm_tanh1(score / keys->softcap);
    tile->scores[j] = score;
    if (score > most) most = score;
  }
  return most;
}

void vlm_attend_int16_generic(const vlm_query_tile *tile, const vlm_key_tile *keys, const vlm_coded_keys *coded) {
  for (int64_t row = 0; row < tile->rows; row++) {
    const float before = tile->most[row], here = score_row(tile, keys, coded, row), most = here > before ? here : before;
    const float kept = before == -__builtin_inff() ? 0 : exp2_negative(before - most), added = exp2_negative(here - most) + coded->spoilt;
    int32_t *codes = (int32_t *)tile->scores, sum = 0;
    for (int64_t j = 0; j < keys->count; j++) sum += codes[j] = weight_code(tile->scores[j] - here);
    float *out = tile->out + row * tile->stride, *total = tile->sum + row * VLM_SUM_LANES;
    for (int64_t i = 0; i < tile->head_dim; i++) {
      int32_t dot = 0;
      for (int64_t j = 0; j < keys->count; j++) {
        const uint32_t pair = coded->coded_v[j / 2 * tile->stride + i];
        dot += codes[j] * (j % 2 ? high_of(pair) : low_of(pair));
      }
      out[i] = vlm_fma1((float)dot, coded->v_scale[i] * added, out[i] * kept);
    }
    *total = vlm_fma1((float)sum, added, *total * kept);
    tile->most[row] = most;
  }
}
