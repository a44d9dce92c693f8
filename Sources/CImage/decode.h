#ifndef CIMAGE_DECODE_H
#define CIMAGE_DECODE_H

// What the decoders share.

#include "cimage.h"

#include <stdio.h>

// Leaves the message of an end, and gives its status.
static inline cimage_status cimage_end(cimage_target *target, cimage_status status, const char *text) {
    snprintf(target->message, sizeof target->message, "%s", status == CIMAGE_OK ? "" : text);
    return status;
}

// Whether the decoder may touch that many pixels more.
static inline int cimage_goes_on(const cimage_target *target, size_t pixels) {
    return target->watch.proceeds(target->watch.context, pixels);
}

// Pillow's light of a colour from its ink and the black ink, both 255 where all is covered.
static inline uint8_t cimage_ink(unsigned ink, unsigned black) {
    const unsigned paper = 255 - black, t = ink * paper + 128;
    return (uint8_t)(paper - (((t >> 8) + t) >> 8));
}

static inline uint32_t cimage_little16(const uint8_t *bytes) { return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8; }

static inline uint32_t cimage_little24(const uint8_t *bytes) { return cimage_little16(bytes) | (uint32_t)bytes[2] << 16; }

static inline uint32_t cimage_little32(const uint8_t *bytes) { return cimage_little24(bytes) | (uint32_t)bytes[3] << 24; }

// Fills a palette up behind its first `count` colours as Pillow does: gray by number where those are that too, else black.
static inline void cimage_fill_palette(uint8_t palette[768], int count) {
    int is_gray = 1;
    for (int i = 0; i < 3 * count; i++) is_gray &= palette[i] == i / 3;
    for (int i = 3 * count; i < 768; i++) palette[i] = is_gray ? (uint8_t)(i / 3) : 0;
}

#endif
