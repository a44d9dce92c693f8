#define _GNU_SOURCE
#include "cross.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

// Dice are the same on every processor.
#pragma clang fp contract(off)

feature_set sets[SETS_MAX];
int set_count;
int failures;

void find_sets(void) {
    const vlm_isa wide = VLM_ISA_AVX2 | VLM_ISA_AVX512, vnni = wide | VLM_ISA_AVX512_VNNI;
    const feature_set all[] = {
        {"generic", VLM_ISA_GENERIC, false},
        {"avx2", VLM_ISA_AVX2, true},
        {"avx-vnni", VLM_ISA_AVX2 | VLM_ISA_AVX_VNNI, true},
        {"avx512", wide, false},
        {"avx512-vnni", vnni, false},
        {"avx512-bf16", vnni | VLM_ISA_AVX512_BF16, false},
        {"amx", vnni | VLM_ISA_AVX512_BF16 | VLM_ISA_AMX, false},
        {"neon", VLM_ISA_NEON, true},
        {"neon-dot", VLM_ISA_NEON | VLM_ISA_NEON_DOT, true},
    };
    const vlm_isa here = vlm_cpu_features();
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if ((here & all[i].isa) == all[i].isa) sets[set_count++] = all[i];
}

static uint64_t state;

void seed(uint64_t number) { state = number * 0x9e3779b97f4a7c15; }

static uint64_t next(void) {
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

int64_t dice(int64_t least, int64_t most) { return least + (int64_t)(next() % (uint64_t)(most - least + 1)); }

float dice_float(float least, float most) {
    const double share = (double)(next() >> 40) * 0x1p-24;
    return (float)(least + (most - (double)least) * share);
}

const float extremes[] = {
    0, -0.0f, 0x1p-149f, -0x1p-140f, 0x1p-126f, -0x1p-126f, 1e-30f, 0.625f, -0.625f, 1, -1, 4, -4, 15.5f, 87.3f, -87.3f, -87.4f, 88.7f, 88.8f,
    -88.8f, 127, 1e10f, -1e10f, 1e30f, -1e30f, 0x1.fffffep127f, -0x1.fffffep127f, INFINITY, -INFINITY, NAN,
};
const int extreme_count = sizeof extremes / sizeof *extremes;

static struct { void *at; size_t bytes; } mapped[256];
static int mapped_count;

void *guarded(size_t bytes, bool aligned) {
    const size_t page = 4096, data = (bytes + page - 1) / page * page, length = data + 2 * page;
    char *base = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED || mapped_count == sizeof mapped / sizeof *mapped) {
        fputs("no memory\n", stderr);
        exit(1);
    }
    mprotect(base, page, PROT_NONE);
    mprotect(base + page + data, page, PROT_NONE);
    mapped[mapped_count].at = base;
    mapped[mapped_count++].bytes = length;
    char *first = base + page + (aligned ? (data - bytes) / 64 * 64 : data - bytes);
    memset(first, 0xa5, bytes);
    return first;
}

float *floats(int64_t count, float least, float most) {
    float *x = guarded((size_t)count * sizeof *x, false);
    for (int64_t i = 0; i < count; i++) x[i] = dice_float(least, most);
    return x;
}

void release_all(void) {
    while (mapped_count > 0) {
        mapped_count--;
        munmap(mapped[mapped_count].at, mapped[mapped_count].bytes);
    }
}

void fail(int set, const char *text, ...) {
    va_list arguments;
    if (++failures > 40) return;
    printf("%s: ", sets[set].name);
    va_start(arguments, text);
    vprintf(text, arguments);
    va_end(arguments);
    putchar('\n');
}

void expect_ok(vlm_status status, int set, const char *what) {
    if (status != VLM_OK) fail(set, "%s: status %d", what, (int)status);
}

// Whether both are the same, or numbers that can be compared.
static bool comparable(float a, float b) { return (isnan(a) && isnan(b)) || (isfinite(a) && isfinite(b)) || a == b; }

static bool same_bits(float a, float b) { return (isnan(a) && isnan(b)) || memcmp(&a, &b, sizeof a) == 0; }

void expect_near(int set, const char *what, const float *got, const float *expected, int64_t count, double tolerance) {
    double most = 0, squares = 0;
    for (int64_t i = 0; i < count; i++) {
        if (!comparable(got[i], expected[i]) || (tolerance == 0 && !same_bits(got[i], expected[i]))) {
            fail(set, "%s: number %lld is %.9g instead of %.9g", what, (long long)i, got[i], expected[i]);
            return;
        }
        if (!isfinite(expected[i])) continue;
        most = fmax(most, fabs((double)got[i] - expected[i]));
        squares += (double)expected[i] * expected[i];
    }
    const double error = most / (sqrt(squares / (double)(count > 0 ? count : 1)) + 1e-12);
    if (tolerance > 0 && !(error < tolerance)) fail(set, "%s: an error of %.3g, more than %.3g", what, error, tolerance);
}

void expect_each_near(int set, const char *what, const float *got, const float *expected, int64_t count, double tolerance) {
    for (int64_t i = 0; i < count; i++) {
        const bool near = !isfinite(expected[i]) || fabs((double)got[i] - expected[i]) <= tolerance * (1 + fabs((double)expected[i]));
        if (comparable(got[i], expected[i]) && near) continue;
        fail(set, "%s: number %lld is %.9g instead of %.9g", what, (long long)i, got[i], expected[i]);
        return;
    }
}

void expect_bytes(int set, const char *what, const void *got, const void *expected, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        if (((const uint8_t *)got)[i] == ((const uint8_t *)expected)[i]) continue;
        fail(set, "%s: byte %zu is %d instead of %d", what, i, ((const uint8_t *)got)[i], ((const uint8_t *)expected)[i]);
        return;
    }
}

static struct { const char *name; uint64_t hash[SETS_MAX]; } areas[64];
static int area_count;

static uint64_t *hash_of(const char *area, int set) {
    int i = 0;
    while (i < area_count && strcmp(areas[i].name, area) != 0) i++;
    if (i == area_count) {
        areas[area_count++].name = area;
        for (int s = 0; s < SETS_MAX; s++) areas[i].hash[s] = 14695981039346656037u;
    }
    return &areas[i].hash[set];
}

void digest_bytes(const char *area, int set, const void *x, size_t bytes) {
    uint64_t *hash = hash_of(area, set);
    for (size_t i = 0; i < bytes; i++) *hash = (*hash ^ ((const uint8_t *)x)[i]) * 1099511628211;
}

void digest_floats(const char *area, int set, const float *x, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        const float value = isnan(x[i]) ? NAN : x[i];
        uint32_t bits = 0x7fc00000;
        if (!isnan(value)) memcpy(&bits, &value, sizeof bits);
        digest_bytes(area, set, &bits, sizeof bits);
    }
}

// The first set of eight lanes; 0 where there is none.
static int first_eight(void) {
    for (int set = 0; set < set_count; set++)
        if (sets[set].has_eight) return set;
    return 0;
}

// The line of an area's digests.
static void write_line(char *line, size_t room, int area, bool has_eight) {
    const int length = snprintf(line, room, "%s %016llx", areas[area].name, (unsigned long long)areas[area].hash[0]);
    if (has_eight) snprintf(line + length, room - (size_t)length, " %016llx\n", (unsigned long long)areas[area].hash[first_eight()]);
}

void expect_digests(const char *path, bool bless) {
    const int eight = first_eight();
    for (int a = 0; a < area_count; a++)
        for (int set = eight; set < set_count; set++)
            if (sets[set].has_eight && areas[a].hash[set] != areas[a].hash[eight]) fail(set, "%s: other bits than %s", areas[a].name, sets[eight].name);
    FILE *file = fopen(path, bless ? "w" : "r");
    if (!file) {
        fail(0, "%s cannot be opened", path);
        return;
    }
    char expected[256], line[256];
    for (int a = 0; a < area_count; a++) {
        write_line(line, sizeof line, a, eight > 0);
        if (bless) fputs(line, file);
        else if (!fgets(expected, sizeof expected, file) || strncmp(expected, line, strlen(line)) != 0)
            fail(eight, "digests are not those of every machine:\n  %s  %s", line, expected);
    }
    if (!bless && fgets(expected, sizeof expected, file)) fail(0, "%s has more lines than there are areas", path);
    fclose(file);
}
