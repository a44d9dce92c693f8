#include "vlm_openblas.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

// The CBLAS interface: order, transposition of a and b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc.
typedef void sgemm_fn(int, int, int, int, int, int, float, const float *, int, const float *, int, float, float *, int);
enum { ROW_MAJOR = 101, NOT_TRANSPOSED = 111, TRANSPOSED = 112 };

static sgemm_fn *sgemm;
static const char *description = "none";

// What the library will read should it be opened, set before the process has a second thread: one thread per call, and the
// kernels of the processor's features, since a release older than the processor takes its slowest ones. The user's wishes stay.
__attribute__((constructor)) static void prepare(void) {
  setenv("OPENBLAS_NUM_THREADS", "1", 0);
  vlm_isa isa = vlm_cpu_features();
  if (isa & VLM_ISA_AVX512) setenv("OPENBLAS_CORETYPE", "SkylakeX", 0);
  else if (isa & VLM_ISA_AVX2) setenv("OPENBLAS_CORETYPE", "Haswell", 0);
}

static void open_library(void) {
  void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
  if (!library) return;
  void (*set_threads)(int) = (void (*)(int))dlsym(library, "openblas_set_num_threads");
  if (set_threads) set_threads(1);
  sgemm = (sgemm_fn *)dlsym(library, "cblas_sgemm");
  char *(*configuration)(void) = (char *(*)(void))dlsym(library, "openblas_get_config");
  description = configuration ? configuration() : "unknown";
}

bool vlm_openblas_open(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, open_library);
  return sgemm != NULL;
}

const char *vlm_openblas_description(void) { return vlm_openblas_open() ? description : "none"; }

bool vlm_openblas_multiply(const vlm_openblas_product *p) {
  if (!vlm_openblas_open()) return false;
  sgemm(ROW_MAJOR, NOT_TRANSPOSED, p->transposes_b ? TRANSPOSED : NOT_TRANSPOSED, p->m, p->n, p->k, 1, p->a, p->a_stride, p->b,
        p->b_stride, p->beta, p->c, p->c_stride);
  return true;
}
