// What the checks of this folder share: the feature sets of this machine, dice, guarded memory, comparisons and digests.
#ifndef CROSS_H
#define CROSS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vlm_kernels.h"

// A set of features whose kernels are compared with those of the first, which is generic. Those of eight lanes compute the same bits.
typedef struct {
    const char *name;
    vlm_isa isa;
    bool has_eight;
} feature_set;

enum { SETS_MAX = 8 };
extern feature_set sets[SETS_MAX];
extern int set_count;

// Finds the sets of this machine, from generic upwards.
void find_sets(void);

// Numbers that depend on the seed alone.
void seed(uint64_t number);
int64_t dice(int64_t least, int64_t most);
float dice_float(float least, float most);

// Numbers at the ends of ranges, and those that are none.
extern const float extremes[];
extern const int extreme_count;

// Memory whose last byte touches an unreadable page, or, `aligned`, that begins at a multiple of 64; the first follows such a page. Filled with 0xa5.
void *guarded(size_t bytes, bool aligned);
float *floats(int64_t count, float least, float most);
void release_all(void);

// What was found wrong; the text begins with the set's name.
void fail(int set, const char *text, ...) __attribute__((format(printf, 2, 3)));
extern int failures;

// Holds that a status is VLM_OK.
void expect_ok(vlm_status status, int set, const char *what);

// Holds that numbers differ by no more than `tolerance` times the root mean square of what is expected; 0: by no bit. NaN and infinity
// stand in the same places.
void expect_near(int set, const char *what, const float *got, const float *expected, int64_t count, double tolerance);

// Holds that each number differs by no more than `tolerance` times 1 and its magnitude.
void expect_each_near(int set, const char *what, const float *got, const float *expected, int64_t count, double tolerance);
void expect_bytes(int set, const char *what, const void *got, const void *expected, size_t bytes);

// Adds results to the digest of an area and set. All NaN count as one.
void digest_floats(const char *area, int set, const float *x, int64_t count);
void digest_bytes(const char *area, int set, const void *x, size_t bytes);

// Holds that sets of eight lanes have the same digests, and that they and the generic ones are those of a file, which is written where
// `bless`. A machine without sets of eight lanes compares the generic ones alone.
void expect_digests(const char *path, bool bless);

void check_linear(void);
void check_packing(void);
void check_attention(void);
void check_rowwise(void);
void check_sampling(void);
void check_screen(void);
void check_rates(void);

#endif
