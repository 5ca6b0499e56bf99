// Byte work that Swift has no words for: SIMD compares to bit masks, hex digits to bytes, masking.
// Header-only, so that every function is inlined into its Swift caller; SSE2 on x86-64, NEON on arm64, plain C elsewhere.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>
