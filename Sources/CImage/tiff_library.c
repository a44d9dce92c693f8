#include "tiff_library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>

static cimage_tiff_library functions;
static int is_open;

static void open_library(void) {
    void *library = dlopen("libtiff.so.6", RTLD_NOW | RTLD_LOCAL);
    if (!library) return;
    const struct {
        const char *name;
        void *target;
    } names[] = {
        {"TIFFOpenOptionsAlloc", &functions.options_alloc},
        {"TIFFOpenOptionsFree", &functions.options_free},
        {"TIFFOpenOptionsSetMaxSingleMemAlloc", &functions.options_set_allocation_max},
        {"TIFFOpenOptionsSetErrorHandlerExtR", &functions.options_set_error_handler},
        {"TIFFOpenOptionsSetWarningHandlerExtR", &functions.options_set_warning_handler},
        {"TIFFClientOpenExt", &functions.open},
        {"TIFFClose", &functions.close},
        {"TIFFGetField", &functions.get},
        {"TIFFGetFieldDefaulted", &functions.get_defaulted},
        {"TIFFSetField", &functions.set},
        {"TIFFIsTiled", &functions.is_tiled},
        {"TIFFNumberOfStrips", &functions.strip_count},
        {"TIFFNumberOfTiles", &functions.tile_count},
        {"TIFFGetStrileOffset", &functions.part_offset},
        {"TIFFGetStrileByteCount", &functions.part_bytes},
        {"TIFFScanlineSize64", &functions.row_bytes},
        {"TIFFTileSize64", &functions.tile_bytes},
        {"TIFFTileRowSize64", &functions.tile_row_bytes},
        {"TIFFReadScanline", &functions.read_row},
        {"TIFFReadTile", &functions.read_tile},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        void *found = dlsym(library, names[i].name);
        if (!found) return;
        *(void **)names[i].target = found;
    }
    // Handles report to their own handlers; what reports past them must not reach the error stream.
    __typeof__(&TIFFSetErrorHandler) set_errors = (__typeof__(&TIFFSetErrorHandler))dlsym(library, "TIFFSetErrorHandler");
    __typeof__(&TIFFSetWarningHandler) set_warnings = (__typeof__(&TIFFSetWarningHandler))dlsym(library, "TIFFSetWarningHandler");
    if (set_errors) set_errors(NULL);
    if (set_warnings) set_warnings(NULL);
    is_open = 1;
}

const cimage_tiff_library *cimage_tiff_open(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, open_library);
    return is_open ? &functions : NULL;
}
