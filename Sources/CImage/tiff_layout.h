#ifndef CIMAGE_TIFF_LAYOUT_H
#define CIMAGE_TIFF_LAYOUT_H

#include "cimage.h"
#include "tiff_library.h"

typedef enum { CIMAGE_TIFF_GRAY, CIMAGE_TIFF_RGB, CIMAGE_TIFF_PALETTE, CIMAGE_TIFF_INKS } cimage_tiff_kind;
typedef enum { CIMAGE_TIFF_OPAQUE, CIMAGE_TIFF_PREMULTIPLIED, CIMAGE_TIFF_STRAIGHT } cimage_tiff_alpha;

// How the samples of a pixel make its colour.
typedef struct {
    cimage_tiff_kind kind;
    cimage_tiff_alpha alpha;
    int bits;        // 1, 2, 4, 8 or 16
    int samples;     // in the file
    int used;        // of them that count: colours, then alpha
    int is_apart;    // each sample in a plane of its own
    int is_inverted; // gray 0 is white
    int clips;       // samples of 16 bits are 8 bits wide, and 255 where they are more
    uint8_t palette[768];
} cimage_tiff_layout;

// Reads the layout of the open directory; the reason where it is none that is known.
const char *cimage_tiff_read_layout(const cimage_tiff_library *tiff, TIFF *file, const uint8_t *data, size_t size,
                                    cimage_tiff_layout *layout);

// Bytes of a row of that many pixels, of one plane where they are apart.
uint64_t cimage_tiff_row_bytes(const cimage_tiff_layout *layout, uint32_t width);

// Takes the samples of a row apart to 8 bits: the first three to `rgb`, three bytes a pixel, the last of two or four to `last`.
void cimage_tiff_place(const cimage_tiff_layout *layout, int plane, const uint8_t *row, uint32_t width, uint8_t *rgb, uint8_t *last);

// Makes colours of the samples that were placed.
void cimage_tiff_finish(const cimage_tiff_layout *layout, uint32_t width, uint8_t *rgb, const uint8_t *last, int drops_alpha);

#endif
