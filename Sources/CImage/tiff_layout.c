#include "tiff_layout.h"

#include <string.h>

#include "decode.h"

// Whether the first directory names extra samples: libtiff invents them where a file has more samples than colours.
static int declares_extras(const uint8_t *data, size_t size) {
    if (size < 16) return 0;
    const int is_little = data[0] == 'I', is_big = data[2] == 43 || data[3] == 43;
    const int place_bytes = is_big ? 8 : 4, count_bytes = is_big ? 8 : 2, entry_bytes = is_big ? 20 : 12;
    uint64_t values[2] = {0, 0}; // where the directory is, and its entries
    size_t at = is_big ? 8 : 4;
    for (int step = 0; step < 2; step++) {
        const int bytes = step == 0 ? place_bytes : count_bytes;
        if (at > size || size - at < (size_t)bytes) return 0;
        for (int i = 0; i < bytes; i++) values[step] = values[step] << 8 | data[is_little ? at + (size_t)(bytes - 1 - i) : at + (size_t)i];
        at = step == 0 ? values[0] : at + (size_t)bytes;
    }
    for (uint64_t i = 0; i < values[1] && at <= size && size - at >= (size_t)entry_bytes; i++, at += (size_t)entry_bytes) {
        const unsigned tag = is_little ? data[at] | data[at + 1] << 8 : data[at] << 8 | data[at + 1];
        if (tag == TIFFTAG_EXTRASAMPLES) return 1;
    }
    return 0;
}

static const char *check_coding(const cimage_tiff_library *tiff, TIFF *file) {
    uint16_t coding = 0, format = 0;
    tiff->get_defaulted(file, TIFFTAG_COMPRESSION, &coding);
    switch (coding) {
    case COMPRESSION_NONE:
    case COMPRESSION_CCITTRLE:
    case COMPRESSION_CCITTFAX3:
    case COMPRESSION_CCITTFAX4:
    case COMPRESSION_LZW:
    case COMPRESSION_JPEG:
    case COMPRESSION_ADOBE_DEFLATE:
    case COMPRESSION_PACKBITS:
    case COMPRESSION_DEFLATE: break;
    default: return "its compression is none of PackBits, LZW, Deflate, JPEG and CCITT";
    }
    tiff->get_defaulted(file, TIFFTAG_SAMPLEFORMAT, &format);
    return format == SAMPLEFORMAT_UINT ? NULL : "its samples are not unsigned numbers";
}

// The colours, by the photometric tag.
static const char *read_kind(const cimage_tiff_library *tiff, TIFF *file, cimage_tiff_layout *layout) {
    uint16_t photometric = PHOTOMETRIC_MINISWHITE, coding = 0;
    tiff->get(file, TIFFTAG_PHOTOMETRIC, &photometric);
    tiff->get_defaulted(file, TIFFTAG_COMPRESSION, &coding);
    switch (photometric) {
    case PHOTOMETRIC_MINISWHITE:
    case PHOTOMETRIC_MINISBLACK:
        layout->kind = CIMAGE_TIFF_GRAY;
        // As Pillow reads gray of 16 bits, whichever end is white.
        layout->clips = layout->bits == 16 && layout->samples == 1;
        layout->is_inverted = photometric == PHOTOMETRIC_MINISWHITE && !layout->clips;
        return NULL;
    case PHOTOMETRIC_RGB: layout->kind = CIMAGE_TIFF_RGB; return NULL;
    case PHOTOMETRIC_PALETTE: layout->kind = CIMAGE_TIFF_PALETTE; return NULL;
    case PHOTOMETRIC_SEPARATED: layout->kind = CIMAGE_TIFF_INKS; return NULL;
    case PHOTOMETRIC_YCBCR:
        if (coding != COMPRESSION_JPEG || layout->is_apart || layout->samples != 3)
            return "it has YCbCr samples without JPEG compression";
        layout->kind = CIMAGE_TIFF_RGB;
        tiff->set(file, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
        return NULL;
    default: return "its colours are none of gray, RGB, palette, CMYK and YCbCr";
    }
}

static const char *read_alpha(const cimage_tiff_library *tiff, TIFF *file, int is_declared, cimage_tiff_layout *layout) {
    static const int colours[] = {1, 3, 1, 4};
    layout->used = colours[layout->kind];
    layout->alpha = CIMAGE_TIFF_OPAQUE;
    if (layout->samples < layout->used) return "it has fewer samples than colours";
    if (layout->samples > layout->used + 3) return "it has more than three samples beside its colours";
    if (layout->samples == layout->used) return NULL;
    uint16_t count = 0, *extras = NULL;
    uint16_t meaning = EXTRASAMPLE_UNASSALPHA;
    if (!is_declared) {
        if (layout->kind != CIMAGE_TIFF_RGB || layout->samples != 4) return "it has samples of unknown meaning";
    } else if (!tiff->get(file, TIFFTAG_EXTRASAMPLES, &count, &extras) || count == 0 || !extras) {
        return "it has samples of unknown meaning";
    } else {
        meaning = extras[0];
    }
    if (meaning == EXTRASAMPLE_UNSPECIFIED) return NULL;
    if (layout->kind == CIMAGE_TIFF_INKS) return "it has CMYK and alpha";
    if (meaning == EXTRASAMPLE_ASSOCALPHA && layout->kind != CIMAGE_TIFF_RGB) return "it has premultiplied gray";
    layout->alpha = meaning == EXTRASAMPLE_ASSOCALPHA ? CIMAGE_TIFF_PREMULTIPLIED : CIMAGE_TIFF_STRAIGHT;
    layout->used++;
    return NULL;
}

static const char *read_palette(const cimage_tiff_library *tiff, TIFF *file, cimage_tiff_layout *layout) {
    uint16_t *maps[3] = {NULL, NULL, NULL};
    if (!tiff->get(file, TIFFTAG_COLORMAP, &maps[0], &maps[1], &maps[2]) || !maps[0] || !maps[1] || !maps[2])
        return "it has no palette";
    for (int i = 0; i < 1 << layout->bits; i++)
        for (int c = 0; c < 3; c++) layout->palette[3 * i + c] = (uint8_t)(maps[c][i] >> 8);
    cimage_fill_palette(layout->palette, 1 << layout->bits);
    return NULL;
}

const char *cimage_tiff_read_layout(const cimage_tiff_library *tiff, TIFF *file, const uint8_t *data, size_t size,
                                    cimage_tiff_layout *layout) {
    uint16_t bits = 0, samples = 0, planes = 0;
    memset(layout, 0, sizeof *layout);
    tiff->get_defaulted(file, TIFFTAG_BITSPERSAMPLE, &bits);
    tiff->get_defaulted(file, TIFFTAG_SAMPLESPERPIXEL, &samples);
    tiff->get_defaulted(file, TIFFTAG_PLANARCONFIG, &planes);
    layout->bits = bits;
    layout->samples = samples;
    layout->is_apart = planes == PLANARCONFIG_SEPARATE && samples > 1;
    const char *reason = check_coding(tiff, file);
    if (!reason) reason = read_kind(tiff, file, layout);
    if (!reason) reason = read_alpha(tiff, file, declares_extras(data, size), layout);
    if (reason) return reason;
    if (layout->bits != 1 && layout->bits != 2 && layout->bits != 4 && layout->bits != 8 && layout->bits != 16)
        return "its samples have neither 1, 2, 4, 8 nor 16 bits";
    if (layout->bits < 8 && layout->samples > 1) return "it has several samples of less than 8 bits";
    if (layout->kind != CIMAGE_TIFF_PALETTE) return NULL;
    return layout->bits == 16 ? "its palette has 65536 colours" : read_palette(tiff, file, layout);
}

uint64_t cimage_tiff_row_bytes(const cimage_tiff_layout *layout, uint32_t width) {
    const uint64_t samples = (uint64_t)width * (uint64_t)(layout->is_apart ? 1 : layout->samples);
    return (samples * (uint64_t)layout->bits + 7) / 8;
}

// Of 16 bits the upper half, or where `clips` the lower one, and 255 for what is more.
static inline uint8_t sample_at(const uint8_t *row, size_t index, int bits, int clips) {
    if (bits == 8) return row[index];
    if (bits == 16) {
        uint16_t value;
        memcpy(&value, row + 2 * index, sizeof value);
        if (clips) return value > 255 ? 255 : (uint8_t)value;
        return (uint8_t)(value >> 8);
    }
    const size_t bit = index * (size_t)bits;
    return row[bit / 8] >> (8 - (unsigned)bits - bit % 8) & ((1u << bits) - 1);
}

void cimage_tiff_place(const cimage_tiff_layout *layout, int plane, const uint8_t *row, uint32_t width, uint8_t *rgb,
                       uint8_t *last) {
    const int first = layout->is_apart ? plane : 0, end = layout->is_apart ? plane + 1 : layout->used;
    const size_t step = layout->is_apart ? 1 : (size_t)layout->samples;
    for (int sample = first; sample < end; sample++) {
        // Two and four samples that count are colours and one more: alpha or black.
        const int is_last = sample == layout->used - 1 && layout->used % 2 == 0;
        uint8_t *out = is_last ? last : rgb + sample;
        const size_t out_step = is_last ? 1 : 3, offset = layout->is_apart ? 0 : (size_t)sample;
        for (uint32_t x = 0; x < width; x++) out[x * out_step] = sample_at(row, x * step + offset, layout->bits, layout->clips);
    }
}

static void show(const cimage_tiff_layout *layout, uint32_t width, uint8_t *rgb, const uint8_t *last) {
    const unsigned largest = layout->bits < 8 ? (1u << layout->bits) - 1 : 255;
    for (uint32_t x = 0; x < width; x++, rgb += 3) {
        switch (layout->kind) {
        case CIMAGE_TIFF_GRAY: {
            const unsigned light = rgb[0] * 255u / largest;
            memset(rgb, (int)(layout->is_inverted ? 255 - light : light), 3);
            break;
        }
        case CIMAGE_TIFF_PALETTE: memcpy(rgb, layout->palette + 3 * rgb[0], 3); break;
        case CIMAGE_TIFF_INKS:
            for (int c = 0; c < 3; c++) rgb[c] = cimage_ink(rgb[c], last[x]);
            break;
        case CIMAGE_TIFF_RGB: break;
        }
    }
}

void cimage_tiff_finish(const cimage_tiff_layout *layout, uint32_t width, uint8_t *rgb, const uint8_t *last, int drops_alpha) {
    show(layout, width, rgb, last);
    if (layout->alpha == CIMAGE_TIFF_OPAQUE) return;
    for (uint32_t x = 0; x < width; x++, rgb += 3) {
        const unsigned alpha = last[x];
        uint8_t pixel[4] = {rgb[0], rgb[1], rgb[2], (uint8_t)alpha};
        if (layout->alpha == CIMAGE_TIFF_PREMULTIPLIED)
            for (int c = 0; c < 3; c++) {
                const unsigned straight = alpha ? pixel[c] * 255u / alpha : 0;
                pixel[c] = straight > 255 ? 255 : (uint8_t)straight;
            }
        if (drops_alpha) memcpy(rgb, pixel, 3);
        else cimage_composite_on_white(pixel, rgb, 1);
    }
}
