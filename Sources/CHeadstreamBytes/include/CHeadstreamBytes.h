// Byte work that Swift has no words for: SIMD compares to bit masks, hex digits to bytes, masking.
// Header-only, so that every function is inlined into its Swift caller; SSE2 on x86-64, NEON on arm64, plain C elsewhere.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline const void *_Nullable hs_find_byte(const void *_Nonnull p, size_t n, uint8_t byte) { return memchr(p, byte, n); }
static inline int hs_equal(const void *_Nonnull a, const void *_Nonnull b, size_t n) { return memcmp(a, b, n) == 0; }
