// zlib, as Debian's zlib1g-dev installs it. Its initialisers are macros over functions that want the version and the
// size of z_stream, so they stand here as static inline functions.
#pragma once
#include <zlib.h>

static inline int hs_inflate_init(z_stream *stream, int window_bits) {
    return inflateInit2(stream, window_bits);
}

static inline int hs_deflate_init(z_stream *stream, int level, int window_bits, int memory_level) {
    return deflateInit2(stream, level, Z_DEFLATED, window_bits, memory_level, Z_DEFAULT_STRATEGY);
}
