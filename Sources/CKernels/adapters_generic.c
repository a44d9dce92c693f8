#include "adapters.h"

void vlm_adapter_down_generic(const vlm_adapter *a, const float *x, int64_t inputs, int64_t begin, int64_t end, float *h) {
  for (int64_t j = begin; j < end; j++) {
    double sum = 0;
    for (int64_t i = 0; i < inputs; i++) sum += (double)a->down[j * inputs + i] * x[i];
    h[j] = (float)sum;
  }
}

void vlm_adapter_up_generic(const vlm_adapter *a, const float *h, int64_t outputs, int64_t begin, int64_t end, float *y) {
  for (int64_t j = 0; j < a->rank; j++)
    for (int64_t o = begin; o < end; o++) y[o] += h[j] * a->up[j * outputs + o];
}
