#include "decode.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tiff_layout.h"
#include "tiff_library.h"

// No tile, and nothing else that libtiff allocates at once, is larger.
enum { tile_bytes_max = 16 << 20, allocation_max = 64 << 20 };

// A file in memory, and the first thing that libtiff said was wrong.
typedef struct {
    const uint8_t *data;
    size_t size, at;
    char text[200];
} tiff_source;

static tmsize_t on_read(thandle_t handle, void *target, tmsize_t count) {
    tiff_source *source = handle;
    const size_t left = source->at < source->size ? source->size - source->at : 0;
    const size_t taken = (size_t)count < left ? (size_t)count : left;
    if (taken) memcpy(target, source->data + source->at, taken);
    source->at += taken;
    return (tmsize_t)taken;
}

static tmsize_t on_write(thandle_t handle, void *bytes, tmsize_t count) {
    (void)handle, (void)bytes, (void)count;
    return -1;
}

static toff_t on_seek(thandle_t handle, toff_t offset, int whence) {
    tiff_source *source = handle;
    const toff_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? source->at : source->size;
    source->at = (size_t)(base + offset);
    return source->at;
}

static int on_close(thandle_t handle) {
    (void)handle;
    return 0;
}

static toff_t on_size(thandle_t handle) { return ((tiff_source *)handle)->size; }

static int on_map(thandle_t handle, void **base, toff_t *size) {
    tiff_source *source = handle;
    *base = (void *)(uintptr_t)source->data; // libtiff does not write to a file that it opened to read
    *size = source->size;
    return 1;
}

static void on_unmap(thandle_t handle, void *base, toff_t size) { (void)handle, (void)base, (void)size; }

static int on_error(TIFF *file, void *context, const char *module, const char *format, va_list values) {
    (void)file, (void)module;
    tiff_source *source = context;
    if (!source->text[0]) vsnprintf(source->text, sizeof source->text, format, values);
    return 1;
}

static int on_warning(TIFF *file, void *context, const char *module, const char *format, va_list values) {
    (void)file, (void)context, (void)module, (void)format, (void)values;
    return 1;
}

static TIFF *open_file(const cimage_tiff_library *tiff, tiff_source *source) {
    TIFFOpenOptions *options = tiff->options_alloc();
    if (!options) return NULL;
    tiff->options_set_allocation_max(options, allocation_max);
    tiff->options_set_error_handler(options, on_error, source);
    tiff->options_set_warning_handler(options, on_warning, NULL);
    TIFF *file = tiff->open(
        "image", "r", source, on_read, on_write, on_seek, on_close, on_size, on_map, on_unmap, options);
    tiff->options_free(options);
    return file;
}

static cimage_status damaged(const tiff_source *source, cimage_target *target) {
    return cimage_end(target, CIMAGE_CORRUPT, source->text[0] ? source->text : "the file is damaged");
}

// Whether every strip or tile lies inside the file.
static cimage_status check_parts(const cimage_tiff_library *tiff, TIFF *file, const tiff_source *source, cimage_target *target) {
    const uint32_t count = tiff->is_tiled(file) ? tiff->tile_count(file) : tiff->strip_count(file);
    for (uint32_t i = 0; i < count; i++) {
        if (i % 65536 == 0 && !cimage_goes_on(target, 65536)) return cimage_end(target, CIMAGE_STOPPED, "stopped");
        const uint64_t offset = tiff->part_offset(file, i), bytes = tiff->part_bytes(file, i);
        if (offset > source->size || bytes > source->size - offset)
            return cimage_end(target, CIMAGE_TRUNCATED, "the file ends inside the image");
        if (offset == 0 || bytes == 0) return cimage_end(target, CIMAGE_CORRUPT, "a strip or tile has no data");
    }
    return CIMAGE_OK;
}

// The rest of reading: what the layout says, the rows of one image, and room for the sample behind the colours.
typedef struct {
    const cimage_tiff_library *tiff;
    TIFF *file;
    const tiff_source *source;
    const cimage_tiff_layout *layout;
    cimage_target *target;
    uint8_t *last; // a row
} tiff_reader;

static cimage_status read_strips(const tiff_reader *reader) {
    const cimage_tiff_layout *layout = reader->layout;
    cimage_target *target = reader->target;
    const int planes = layout->is_apart ? layout->used : 1;
    const uint64_t bytes = reader->tiff->row_bytes(reader->file);
    if (bytes < cimage_tiff_row_bytes(layout, target->width) || bytes > allocation_max)
        return damaged(reader->source, target);
    uint8_t *row = malloc(bytes);
    if (!row) return cimage_end(target, CIMAGE_NO_MEMORY, "out of memory");
    cimage_status status = CIMAGE_OK;
    for (int plane = 0; plane < planes && status == CIMAGE_OK; plane++)
        for (uint32_t y = 0; y < target->height; y++) {
            if (!cimage_goes_on(target, target->width)) {
                status = cimage_end(target, CIMAGE_STOPPED, "stopped");
                break;
            }
            if (reader->tiff->read_row(reader->file, row, y, (uint16_t)plane) < 0) {
                status = damaged(reader->source, target);
                break;
            }
            uint8_t *rgb = target->rgb + (size_t)y * target->width * 3;
            cimage_tiff_place(layout, plane, row, target->width, rgb, reader->last);
            if (plane == planes - 1) cimage_tiff_finish(layout, target->width, rgb, reader->last, target->drops_alpha);
        }
    free(row);
    return status;
}

// One tile to the pixels that it covers.
static void place_tile(const tiff_reader *reader, int plane, const uint8_t *tile, uint32_t left, uint32_t top,
                       uint32_t width, uint32_t height) {
    const cimage_target *target = reader->target;
    const size_t stride = reader->tiff->tile_row_bytes(reader->file);
    const uint32_t columns = target->width - left < width ? target->width - left : width;
    for (uint32_t y = 0; y < height && top + y < target->height; y++) {
        uint8_t *rgb = target->rgb + ((size_t)(top + y) * target->width + left) * 3;
        cimage_tiff_place(reader->layout, plane, tile + y * stride, columns, rgb, reader->last);
        if (!reader->layout->is_apart || plane == reader->layout->used - 1)
            cimage_tiff_finish(reader->layout, columns, rgb, reader->last, target->drops_alpha);
    }
}

static cimage_status read_tiles(const tiff_reader *reader) {
    const cimage_tiff_library *tiff = reader->tiff;
    cimage_target *target = reader->target;
    uint32_t width = 0, height = 0;
    if (!tiff->get(reader->file, TIFFTAG_TILEWIDTH, &width) || !tiff->get(reader->file, TIFFTAG_TILELENGTH, &height)
        || width == 0 || height == 0)
        return cimage_end(target, CIMAGE_CORRUPT, "tiles without a size");
    const uint64_t bytes = tiff->tile_bytes(reader->file), row = tiff->tile_row_bytes(reader->file);
    if (bytes > tile_bytes_max) return cimage_end(target, CIMAGE_UNSUPPORTED, "tiles of more than 16 MiB");
    if (row < cimage_tiff_row_bytes(reader->layout, width) || bytes < row * height) return damaged(reader->source, target);
    uint8_t *tile = malloc(bytes);
    if (!tile) return cimage_end(target, CIMAGE_NO_MEMORY, "out of memory");
    const int planes = reader->layout->is_apart ? reader->layout->used : 1;
    cimage_status status = CIMAGE_OK;
    for (int plane = 0; plane < planes; plane++)
        for (uint64_t top = 0; top < target->height; top += height)
            for (uint64_t left = 0; left < target->width && status == CIMAGE_OK; left += width) {
                if (!cimage_goes_on(target, (size_t)width * height))
                    status = cimage_end(target, CIMAGE_STOPPED, "stopped");
                else if (tiff->read_tile(reader->file, tile, (uint32_t)left, (uint32_t)top, 0, (uint16_t)plane) < 0)
                    status = damaged(reader->source, target);
                else place_tile(reader, plane, tile, (uint32_t)left, (uint32_t)top, width, height);
            }
    free(tile);
    return status;
}

static cimage_status read_file(const cimage_tiff_library *tiff, TIFF *file, const tiff_source *source, cimage_target *target) {
    uint32_t width = 0, height = 0;
    if (!tiff->get(file, TIFFTAG_IMAGEWIDTH, &width) || !tiff->get(file, TIFFTAG_IMAGELENGTH, &height)
        || width != target->width || height != target->height)
        return cimage_end(target, CIMAGE_CORRUPT, "contradictory headers");
    cimage_tiff_layout layout;
    const char *reason = cimage_tiff_read_layout(tiff, file, source->data, source->size, &layout);
    if (reason) return cimage_end(target, CIMAGE_UNSUPPORTED, reason);
    cimage_status status = check_parts(tiff, file, source, target);
    if (status != CIMAGE_OK) return status;
    tiff_reader reader = {tiff, file, source, &layout, target, malloc(target->width)};
    if (!reader.last) return cimage_end(target, CIMAGE_NO_MEMORY, "out of memory");
    status = tiff->is_tiled(file) ? read_tiles(&reader) : read_strips(&reader);
    free(reader.last);
    return status;
}

cimage_status cimage_decode_tiff(const uint8_t *data, size_t size, cimage_target *target) {
    const cimage_tiff_library *tiff = cimage_tiff_open();
    if (!tiff) return cimage_end(target, CIMAGE_UNSUPPORTED, "this machine has no libtiff.so.6");
    tiff_source source = {.data = data, .size = size};
    TIFF *file = open_file(tiff, &source);
    if (!file) return damaged(&source, target);
    cimage_status status = read_file(tiff, file, &source, target);
    tiff->close(file);
    return status == CIMAGE_OK ? cimage_end(target, CIMAGE_OK, "") : status;
}
