#ifndef CIMAGE_TIFF_LIBRARY_H
#define CIMAGE_TIFF_LIBRARY_H

#include <tiffio.h>

// The functions of libtiff that are used.
typedef struct {
    __typeof__(&TIFFOpenOptionsAlloc) options_alloc;
    __typeof__(&TIFFOpenOptionsFree) options_free;
    __typeof__(&TIFFOpenOptionsSetMaxSingleMemAlloc) options_set_allocation_max;
    __typeof__(&TIFFOpenOptionsSetErrorHandlerExtR) options_set_error_handler;
    __typeof__(&TIFFOpenOptionsSetWarningHandlerExtR) options_set_warning_handler;
    __typeof__(&TIFFClientOpenExt) open;
    __typeof__(&TIFFClose) close;
    __typeof__(&TIFFGetField) get;
    __typeof__(&TIFFGetFieldDefaulted) get_defaulted;
    __typeof__(&TIFFSetField) set;
    __typeof__(&TIFFIsTiled) is_tiled;
    __typeof__(&TIFFNumberOfStrips) strip_count;
    __typeof__(&TIFFNumberOfTiles) tile_count;
    __typeof__(&TIFFGetStrileOffset) part_offset;
    __typeof__(&TIFFGetStrileByteCount) part_bytes;
    __typeof__(&TIFFScanlineSize64) row_bytes;
    __typeof__(&TIFFTileSize64) tile_bytes;
    __typeof__(&TIFFTileRowSize64) tile_row_bytes;
    __typeof__(&TIFFReadScanline) read_row;
    __typeof__(&TIFFReadTile) read_tile;
} cimage_tiff_library;

// Opens the library at the first call; NULL where the machine has none.
const cimage_tiff_library *cimage_tiff_open(void);

#endif
