#include "decode.h"

#include <string.h>

enum { PLAIN = 0, RUNS8 = 1, RUNS4 = 2, MASKED = 3 };

// A header in one form for all its generations.
typedef struct {
    uint32_t width, height, bits, coding, colours;
    uint32_t masks[4]; // red, green, blue, alpha; zero where there is none
    size_t palette;    // where the palette starts
    uint32_t entry;    // bytes of one of its colours
    size_t pixels;     // where the pixels start
    int is_top_down;
} bmp_header;

static cimage_status read_masks(const uint8_t *data, size_t size, uint32_t length, bmp_header *header, cimage_target *target) {
    const int count = length >= 56 ? 4 : 3;
    if (size < 14 + 40 + 4 * (size_t)count) return cimage_end(target, CIMAGE_TRUNCATED, "the masks are cut off");
    for (int i = 0; i < count; i++) header->masks[i] = cimage_little32(data + 14 + 40 + 4 * i);
    if (length == 40) header->palette += 12;
    return CIMAGE_OK;
}

// Sizes and places, as Pillow takes them.
static cimage_status read_header(const uint8_t *data, size_t size, bmp_header *header, cimage_target *target) {
    *header = (bmp_header){0};
    if (size < 26) return cimage_end(target, CIMAGE_TRUNCATED, "the header is cut off");
    const uint32_t length = cimage_little32(data + 14);
    const uint8_t *fields = data + 18;
    if (length != 12 && length != 40 && length != 52 && length != 56 && length != 64 && length != 108 && length != 124)
        return cimage_end(target, CIMAGE_UNSUPPORTED, "a header of unknown length");
    if (size < 14 + (size_t)length) return cimage_end(target, CIMAGE_TRUNCATED, "the header is cut off");
    header->palette = 14 + (size_t)length;
    header->entry = length == 12 ? 3 : 4;
    if (length == 12) {
        header->width = cimage_little16(fields);
        header->height = cimage_little16(fields + 2);
        header->bits = cimage_little16(fields + 6);
    } else {
        header->is_top_down = fields[7] == 0xFF;
        header->width = cimage_little32(fields);
        header->height = header->is_top_down ? 0 - cimage_little32(fields + 4) : cimage_little32(fields + 4);
        header->bits = cimage_little16(fields + 10);
        header->coding = cimage_little32(fields + 12);
        header->colours = cimage_little32(fields + 28);
        if (header->coding == MASKED) {
            cimage_status status = read_masks(data, size, length, header, target);
            if (status != CIMAGE_OK) return status;
        }
    }
    if (header->colours == 0 && header->bits <= 8) header->colours = 1u << header->bits;
    header->pixels = cimage_little32(data + 10);
    const size_t table = header->bits <= 8 ? (size_t)header->entry * header->colours : 0;
    if (header->pixels == 0 || header->pixels == 14 + length) header->pixels = header->palette + table;
    if (header->width != target->width || header->height != target->height)
        return cimage_end(target, CIMAGE_CORRUPT, "contradictory headers");
    return CIMAGE_OK;
}

// The byte of a pixel that a mask selects; -1 where it selects none, -2 where it is not one whole byte.
static int byte_of(uint32_t mask) {
    if (mask == 0) return -1;
    for (int i = 0; i < 4; i++)
        if (mask == 0xFFu << (8 * i)) return i;
    return -2;
}

// Where the colours of a pixel of 24 or 32 bits stand; alpha is -1 where there is none.
static cimage_status read_places(const bmp_header *header, int places[4], cimage_target *target) {
    const int without[] = {2, 1, 0, -1}, with[] = {2, 1, 0, 3};
    const uint32_t *masks = header->masks;
    if (header->coding == PLAIN || (masks[0] | masks[1] | masks[2] | masks[3]) == 0) {
        memcpy(places, header->coding == PLAIN || header->bits == 24 ? without : with, sizeof with);
        return CIMAGE_OK;
    }
    for (int i = 0; i < 4; i++) {
        places[i] = byte_of(masks[i]);
        if (places[i] == -2 || (i < 3 && places[i] < 0) || (header->bits == 24 && places[i] == 3))
            return cimage_end(target, CIMAGE_UNSUPPORTED, "colour masks that are not whole bytes");
    }
    return CIMAGE_OK;
}

static void read_wide_row(const uint8_t *in, uint32_t bits, const int places[4], const cimage_target *target, uint8_t *rgb) {
    const size_t step = bits / 8;
    for (uint32_t x = 0; x < target->width; x++, in += step, rgb += 3) {
        const uint8_t pixel[4] = {in[places[0]], in[places[1]], in[places[2]], places[3] < 0 ? 255 : in[places[3]]};
        if (pixel[3] == 255 || target->drops_alpha) memcpy(rgb, pixel, 3);
        else cimage_composite_on_white(pixel, rgb, 1);
    }
}

static void read_short_row(const uint8_t *in, int has_six_greens, const cimage_target *target, uint8_t *rgb) {
    for (uint32_t x = 0; x < target->width; x++, in += 2, rgb += 3) {
        const uint32_t pixel = cimage_little16(in);
        const uint32_t red = has_six_greens ? pixel >> 11 : pixel >> 10 & 31;
        rgb[0] = (uint8_t)(red * 255 / 31);
        rgb[1] = (uint8_t)(has_six_greens ? (pixel >> 5 & 63) * 255 / 63 : (pixel >> 5 & 31) * 255 / 31);
        rgb[2] = (uint8_t)((pixel & 31) * 255 / 31);
    }
}

static void read_palette_row(const uint8_t *in, uint32_t bits, const uint8_t palette[768], const cimage_target *target, uint8_t *rgb) {
    for (uint32_t x = 0; x < target->width; x++) {
        const uint32_t first = (uint32_t)((uint64_t)x * bits % 8);
        const unsigned number = in[(uint64_t)x * bits / 8] >> (8 - bits - first) & ((1u << bits) - 1);
        memcpy(rgb + 3 * (size_t)x, palette + 3 * number, 3);
    }
}

static uint8_t *row_of(const bmp_header *header, size_t y, const cimage_target *target) {
    return target->rgb + (header->is_top_down ? y : target->height - 1 - y) * target->width * 3;
}

static cimage_status read_rows(const uint8_t *data, size_t size, const bmp_header *header, const uint8_t palette[768],
                               cimage_target *target) {
    const uint64_t stride = ((uint64_t)header->width * header->bits + 31) / 32 * 4;
    const int has_six_greens = header->masks[0] == 0xF800 && header->masks[1] == 0x7E0 && header->masks[2] == 0x1F;
    const int has_five_greens = header->masks[0] == 0x7C00 && header->masks[1] == 0x3E0 && header->masks[2] == 0x1F;
    int places[4];
    if (header->bits == 16 && header->coding == MASKED && !has_six_greens && !has_five_greens)
        return cimage_end(target, CIMAGE_UNSUPPORTED, "16-bit colours of other widths than 5, 6, 5 or 5, 5, 5");
    if (header->bits > 16) {
        cimage_status status = read_places(header, places, target);
        if (status != CIMAGE_OK) return status;
    }
    for (uint32_t y = 0; y < target->height; y++) {
        if (!cimage_goes_on(target, target->width)) return cimage_end(target, CIMAGE_STOPPED, "stopped");
        const uint64_t at = header->pixels + y * stride;
        if (at > size || (uint64_t)(size - at) < ((uint64_t)header->width * header->bits + 7) / 8)
            return cimage_end(target, CIMAGE_TRUNCATED, "the file ends inside the image");
        uint8_t *rgb = row_of(header, y, target);
        if (header->bits > 16) read_wide_row(data + at, header->bits, places, target, rgb);
        else if (header->bits == 16) read_short_row(data + at, has_six_greens, target, rgb);
        else read_palette_row(data + at, header->bits, palette, target, rgb);
    }
    return cimage_end(target, CIMAGE_OK, "");
}

// Run-length coded pixels, written one after the other as Pillow does: only coded runs stop at the end of a row.
typedef struct {
    const bmp_header *header;
    const uint8_t *palette;
    cimage_target *target;
    size_t done, total; // pixels
} run_writer;

static void put(run_writer *writer, unsigned number) {
    if (writer->done == writer->total) return;
    const size_t width = writer->target->width;
    uint8_t *row = row_of(writer->header, writer->done / width, writer->target);
    memcpy(row + writer->done % width * 3, writer->palette + 3 * number, 3);
    writer->done++;
}

// The next bytes of a run-length coded image.
typedef struct {
    const uint8_t *data;
    size_t at, size;
} run_reader;

// Pixels that stand one by one behind their count, padded to an even place; zero where the file ends.
static int copy_run(run_reader *reader, run_writer *writer, unsigned count, int is_four_bits) {
    if (count > writer->total - writer->done) count = (unsigned)(writer->total - writer->done);
    const size_t bytes = is_four_bits ? (count + 1) / 2 : count;
    if (reader->size - reader->at < bytes) return 0;
    for (unsigned i = 0; i < count; i++) {
        const uint8_t *in = reader->data + reader->at;
        put(writer, !is_four_bits ? in[i] : i % 2 == 0 ? in[i / 2] >> 4 : in[i / 2] & 15);
    }
    reader->at += bytes;
    reader->at += reader->at % 2;
    return reader->at <= reader->size;
}

static cimage_status read_runs(const uint8_t *data, size_t size, const bmp_header *header, const uint8_t palette[768],
                               cimage_target *target) {
    const size_t width = target->width;
    const int is_four_bits = header->coding == RUNS4;
    run_writer writer = {header, palette, target, 0, width * target->height};
    run_reader reader = {data, header->pixels < size ? header->pixels : size, size};
    size_t x = 0;
    while (writer.done < writer.total && reader.size - reader.at >= 2) {
        const unsigned count = data[reader.at], value = data[reader.at + 1];
        reader.at += 2;
        size_t skipped = 0;
        if (!cimage_goes_on(target, 256)) return cimage_end(target, CIMAGE_STOPPED, "stopped");
        if (count > 0) {
            const size_t room = x < width ? width - x : 0, taken = count < room ? count : room;
            for (size_t i = 0; i < taken; i++) put(&writer, !is_four_bits ? value : i % 2 == 0 ? value >> 4 : value & 15);
            x += taken;
        } else if (value == 0) {
            skipped = (width - writer.done % width) % width;
            x = 0;
        } else if (value == 1) {
            break;
        } else if (value == 2) {
            if (reader.size - reader.at < 2) break;
            skipped = data[reader.at] + data[reader.at + 1] * width;
            reader.at += 2;
            x = (writer.done + skipped) % width;
        } else {
            if (!copy_run(&reader, &writer, value, is_four_bits)) break;
            x += value;
        }
        if (skipped > writer.total - writer.done) skipped = writer.total - writer.done;
        for (size_t i = 0; i < skipped; i++) {
            if (i % 65536 == 65535 && !cimage_goes_on(target, 65536)) return cimage_end(target, CIMAGE_STOPPED, "stopped");
            put(&writer, 0);
        }
    }
    if (writer.done < writer.total) return cimage_end(target, CIMAGE_TRUNCATED, "the run-length code ends before the last row");
    return cimage_end(target, CIMAGE_OK, "");
}

static cimage_status read_palette(const uint8_t *data, size_t size, const bmp_header *header, uint8_t palette[768],
                                  cimage_target *target) {
    if (header->colours == 0 || header->colours > 65536)
        return cimage_end(target, CIMAGE_CORRUPT, "a palette of more than 65536 colours");
    const uint32_t count = header->colours < 256 ? header->colours : 256;
    for (uint32_t i = 0; i < count; i++) {
        const size_t at = header->palette + (size_t)i * header->entry;
        if (at + 3 > size) return cimage_end(target, CIMAGE_TRUNCATED, "the palette is cut off");
        for (int c = 0; c < 3; c++) palette[3 * i + c] = data[at + 2 - c];
    }
    cimage_fill_palette(palette, (int)count);
    return CIMAGE_OK;
}

cimage_status cimage_decode_bmp(const uint8_t *data, size_t size, cimage_target *target) {
    bmp_header header;
    uint8_t palette[768];
    cimage_status status = read_header(data, size, &header, target);
    if (status != CIMAGE_OK) return status;
    const uint32_t bits = header.bits;
    if (bits != 1 && bits != 4 && bits != 8 && bits != 16 && bits != 24 && bits != 32)
        return cimage_end(target, CIMAGE_UNSUPPORTED, "neither 1, 4, 8, 16, 24 nor 32 bits a pixel");
    if (header.coding > MASKED || (header.coding == MASKED && bits < 16))
        return cimage_end(target, CIMAGE_UNSUPPORTED, "pixels that are neither plain nor run-length coded");
    if ((header.coding == RUNS8 && bits != 8) || (header.coding == RUNS4 && bits != 4))
        return cimage_end(target, CIMAGE_CORRUPT, "run-length coded pixels of another size");
    if (bits <= 8) {
        status = read_palette(data, size, &header, palette, target);
        if (status != CIMAGE_OK) return status;
    }
    const int is_in_runs = header.coding == RUNS8 || header.coding == RUNS4;
    return is_in_runs ? read_runs(data, size, &header, palette, target) : read_rows(data, size, &header, palette, target);
}
