// Byte work that Swift has no words for: SIMD compares to bit masks, hex digits to bytes, masking.
// Header-only, so that every function is inlined into its Swift caller; SSE2 on x86-64, NEON on arm64, else plain C.
//
// The form is chosen by the target. `-D HEADSTREAM_BYTES_SCALAR` takes the plain one everywhere. The plain forms are
// also always there under `hs_scalar_…`, so that a test can compare the two in one process.
//
// No function reads before the pointers it is given. Those that read past the end say so and by how much; such bytes must
// be readable and initialised (parsed buffers have 64 of them), their values do not matter.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(HEADSTREAM_BYTES_SCALAR)
#define HS_SCALAR 1
#elif defined(__SSE2__)
#define HS_SSE2 1
#include <emmintrin.h>
#elif defined(__aarch64__) && defined(__ARM_NEON)
#define HS_NEON 1
#include <arm_neon.h>
#else
#define HS_SCALAR 1
#endif

#define HS_INLINE static inline __attribute__((always_inline))
/// Called rarely: kept out of the caller.
#define HS_OUTLINE static __attribute__((noinline, unused))

#if __has_feature(nullability)
#pragma clang assume_nonnull begin
#endif

// ---- Words ----

HS_INLINE uint64_t hs_load64(const void *p) {
    uint64_t x;
    memcpy(&x, p, 8);
    return x;
}

HS_INLINE uint32_t hs_load32(const void *p) {
    uint32_t x;
    memcpy(&x, p, 4);
    return x;
}

HS_INLINE uint64_t hs_from_big64(uint64_t x) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return x;
#else
    return __builtin_bswap64(x);
#endif
}

/// 0...15 for a hex digit of any case, else a value above 15.
HS_INLINE uint8_t hs_hex_value(uint8_t c) {
    uint8_t d = (uint8_t)(c - '0'), l = (uint8_t)((c | 0x20) - 'a');
    return d <= 9 ? d : l <= 5 ? (uint8_t)(l + 10) : 0xff;
}

// ---- Plain forms ----

/// A byte that a JSON string cannot hold as it stands: `"`, `\` or a control byte below 0x20 (RFC 8259 section 7).
HS_INLINE bool hs_is_special(uint8_t c) { return c < 0x20 || c == '"' || c == '\\'; }

HS_INLINE uint32_t hs_scalar_special_mask16(const void *bytes) {
    const uint8_t *p = (const uint8_t *)bytes;
    uint32_t m = 0;
    for (unsigned i = 0; i < 16; i++) m |= (uint32_t)hs_is_special(p[i]) << i;
    return m;
}

HS_INLINE size_t hs_scalar_find_special(const void *bytes, size_t n) {
    const uint8_t *p = (const uint8_t *)bytes;
    size_t i = 0;
    while (i < n && !hs_is_special(p[i])) i++;
    return i;
}

HS_INLINE size_t hs_scalar_find_string_stop(const void *bytes, size_t n) {
    const uint8_t *p = (const uint8_t *)bytes;
    size_t i = 0;
    while (i < n && !hs_is_special(p[i]) && p[i] < 0x80) i++;
    return i;
}

HS_INLINE size_t hs_scalar_find_byte(const void *bytes, size_t n, uint8_t c) {
    const uint8_t *p = (const uint8_t *)bytes;
    size_t i = 0;
    while (i < n && p[i] != c) i++;
    return i;
}

HS_INLINE size_t hs_scalar_ascii_prefix(const void *bytes, size_t n) {
    const uint8_t *p = (const uint8_t *)bytes;
    size_t i = 0;
    for (; n - i >= 8; i += 8)
        if (hs_load64(p + i) & 0x8080808080808080u) break;
    while (i < n && p[i] < 0x80) i++;
    return i;
}

HS_INLINE bool hs_scalar_hex_decode(const void *digits, void *bytes, size_t n) {
    const uint8_t *p = (const uint8_t *)digits;
    uint8_t *out = (uint8_t *)bytes, bad = 0;
    for (size_t i = 0; i < n; i++) {
        uint8_t h = hs_hex_value(p[2 * i]), l = hs_hex_value(p[2 * i + 1]);
        bad |= (uint8_t)(h | l);
        out[i] = (uint8_t)((uint8_t)(h << 4) | (l & 15));
    }
    return bad <= 15;
}

HS_INLINE bool hs_scalar_hex_quantity(const void *digits, size_t n, uint64_t *value) {
    const uint8_t *p = (const uint8_t *)digits;
    uint8_t bad = 0;
    uint64_t x = 0;
    if (n == 0 || n > 16) return false;
    for (size_t i = 0; i < n; i++) {
        uint8_t d = hs_hex_value(p[i]);
        bad |= d;
        x = x << 4 | (d & 15);
    }
    *value = x;
    return bad <= 15;
}

HS_INLINE void hs_scalar_hex_encode(const void *bytes, size_t n, void *digits) {
    const uint8_t *p = (const uint8_t *)bytes;
    uint8_t *out = (uint8_t *)digits;
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = (uint8_t)"0123456789abcdef"[p[i] >> 4];
        out[2 * i + 1] = (uint8_t)"0123456789abcdef"[p[i] & 15];
    }
}

HS_INLINE void hs_scalar_xor_mask(void *bytes, size_t n, uint32_t key, size_t offset) {
    uint8_t *p = (uint8_t *)bytes, k[4];
    memcpy(k, &key, 4);
    for (size_t i = 0; i < n; i++) p[i] ^= k[(offset + i) & 3];
}

// ---- Vectors of 16 bytes: what the functions below need of them ----

#if HS_SSE2
typedef __m128i hs_v16;
HS_INLINE hs_v16 hs_v_load(const void *p) { return _mm_loadu_si128((const __m128i *)p); }
HS_INLINE void hs_v_store(void *p, hs_v16 v) { _mm_storeu_si128((__m128i *)p, v); }
HS_INLINE hs_v16 hs_v_splat(uint8_t c) { return _mm_set1_epi8((char)c); }
HS_INLINE hs_v16 hs_v_or(hs_v16 a, hs_v16 b) { return _mm_or_si128(a, b); }
HS_INLINE hs_v16 hs_v_xor(hs_v16 a, hs_v16 b) { return _mm_xor_si128(a, b); }
HS_INLINE hs_v16 hs_v_eq(hs_v16 a, hs_v16 b) { return _mm_cmpeq_epi8(a, b); }
/// The high bit of each lane, lane 0 lowest.
HS_INLINE uint32_t hs_v_mask(hs_v16 v) { return (uint32_t)_mm_movemask_epi8(v); }
HS_INLINE hs_v16 hs_v_below_0x20(hs_v16 v) { return _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v); }
/// Signed compare: below 0x20, and 0x80 and above, in one instruction.
HS_INLINE hs_v16 hs_v_below_0x20_or_high(hs_v16 v) { return _mm_cmplt_epi8(v, _mm_set1_epi8(0x20)); }
HS_INLINE hs_v16 hs_v_splat32(uint32_t x) { return _mm_set1_epi32((int)x); }
/// 16 hex digits to 16 values of 0...15; `*bad` gets the high bit of every lane that is none.
HS_INLINE hs_v16 hs_v_nibbles(hs_v16 v, hs_v16 *bad) {
    // '0'...'9' to 0xf6...0xff saturated to 0xf0...0xf9 and so 0...9, everything else above 15.
    hs_v16 t = _mm_subs_epu8(_mm_add_epi8(v, _mm_set1_epi8((char)(0xff - '9'))), _mm_set1_epi8(6));
    hs_v16 d = _mm_sub_epi8(t, _mm_set1_epi8((char)0xf0));
    hs_v16 u = _mm_and_si128(v, _mm_set1_epi8((char)0xdf));
    hs_v16 l = _mm_adds_epu8(_mm_sub_epi8(u, _mm_set1_epi8('A')), _mm_set1_epi8(10));
    hs_v16 n = _mm_min_epu8(d, l);
    *bad = _mm_or_si128(*bad, _mm_adds_epu8(n, _mm_set1_epi8(127 - 15)));
    return n;
}
/// 16 values of 0...15 to 8 lanes of 16 bits, each a byte's value.
HS_INLINE hs_v16 hs_v_pairs(hs_v16 n) {
    return _mm_and_si128(_mm_or_si128(_mm_slli_epi16(n, 4), _mm_srli_epi16(n, 8)), _mm_set1_epi16(0xff));
}
HS_INLINE hs_v16 hs_v_pack(hs_v16 a, hs_v16 b) { return _mm_packus_epi16(hs_v_pairs(a), hs_v_pairs(b)); }
HS_INLINE uint64_t hs_v_pack_half(hs_v16 a) {
    // What is no digit, such as the quote behind a quantity, must not reach into the digit that shares its byte.
    hs_v16 p = hs_v_pairs(_mm_and_si128(a, _mm_set1_epi8(15)));
    return (uint64_t)_mm_cvtsi128_si64(_mm_packus_epi16(p, p));
}
HS_INLINE hs_v16 hs_v_digits(hs_v16 n) {  // 0...15 to '0'...'9', 'a'...'f'
    hs_v16 letter = _mm_and_si128(_mm_cmpgt_epi8(n, _mm_set1_epi8(9)), _mm_set1_epi8('a' - '9' - 1));
    return _mm_add_epi8(_mm_add_epi8(n, _mm_set1_epi8('0')), letter);
}
/// 16 bytes to 32 digits.
HS_INLINE void hs_v_encode(hs_v16 v, void *out) {
    hs_v16 m = _mm_set1_epi8(15), h = _mm_and_si128(_mm_srli_epi16(v, 4), m), l = _mm_and_si128(v, m);
    hs_v_store(out, hs_v_digits(_mm_unpacklo_epi8(h, l)));
    hs_v_store((uint8_t *)out + 16, hs_v_digits(_mm_unpackhi_epi8(h, l)));
}
#elif HS_NEON
typedef uint8x16_t hs_v16;
HS_INLINE hs_v16 hs_v_load(const void *p) { return vld1q_u8((const uint8_t *)p); }
HS_INLINE void hs_v_store(void *p, hs_v16 v) { vst1q_u8((uint8_t *)p, v); }
HS_INLINE hs_v16 hs_v_splat(uint8_t c) { return vdupq_n_u8(c); }
HS_INLINE hs_v16 hs_v_or(hs_v16 a, hs_v16 b) { return vorrq_u8(a, b); }
HS_INLINE hs_v16 hs_v_xor(hs_v16 a, hs_v16 b) { return veorq_u8(a, b); }
HS_INLINE hs_v16 hs_v_eq(hs_v16 a, hs_v16 b) { return vceqq_u8(a, b); }
/// The high bit of each lane, lane 0 lowest. Lanes that the callers make are all ones or all zeros, or ASCII tests.
HS_INLINE uint32_t hs_v_mask(hs_v16 v) {
    static const uint8_t weights[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    uint8x16_t b = vandq_u8(vcgeq_u8(v, vdupq_n_u8(0x80)), vld1q_u8(weights));
    return (uint32_t)vaddv_u8(vget_low_u8(b)) | (uint32_t)vaddv_u8(vget_high_u8(b)) << 8;
}
HS_INLINE hs_v16 hs_v_below_0x20(hs_v16 v) { return vcltq_u8(v, vdupq_n_u8(0x20)); }
HS_INLINE hs_v16 hs_v_below_0x20_or_high(hs_v16 v) {
    return vorrq_u8(vcltq_u8(v, vdupq_n_u8(0x20)), vcgeq_u8(v, vdupq_n_u8(0x80)));
}
HS_INLINE hs_v16 hs_v_splat32(uint32_t x) { return vreinterpretq_u8_u32(vdupq_n_u32(x)); }
HS_INLINE hs_v16 hs_v_nibbles(hs_v16 v, hs_v16 *bad) {
    hs_v16 d = vsubq_u8(v, vdupq_n_u8('0')), l = vsubq_u8(vorrq_u8(v, vdupq_n_u8(0x20)), vdupq_n_u8('a'));
    hs_v16 digit = vcleq_u8(d, vdupq_n_u8(9)), letter = vcleq_u8(l, vdupq_n_u8(5));
    *bad = vorrq_u8(*bad, vmvnq_u8(vorrq_u8(digit, letter)));
    return vorrq_u8(vandq_u8(digit, d), vandq_u8(letter, vaddq_u8(l, vdupq_n_u8(10))));
}
HS_INLINE hs_v16 hs_v_pack(hs_v16 a, hs_v16 b) {
    return vorrq_u8(vshlq_n_u8(vuzp1q_u8(a, b), 4), vuzp2q_u8(a, b));
}
HS_INLINE uint64_t hs_v_pack_half(hs_v16 a) { return vgetq_lane_u64(vreinterpretq_u64_u8(hs_v_pack(a, a)), 0); }
HS_INLINE hs_v16 hs_v_digits(hs_v16 n) {
    hs_v16 letter = vandq_u8(vcgtq_u8(n, vdupq_n_u8(9)), vdupq_n_u8('a' - '9' - 1));
    return vaddq_u8(vaddq_u8(n, vdupq_n_u8('0')), letter);
}
HS_INLINE void hs_v_encode(hs_v16 v, void *out) {
    hs_v16 h = vshrq_n_u8(v, 4), l = vandq_u8(v, vdupq_n_u8(15));
    vst1q_u8((uint8_t *)out, hs_v_digits(vzip1q_u8(h, l)));
    vst1q_u8((uint8_t *)out + 16, hs_v_digits(vzip2q_u8(h, l)));
}
#endif

#if !HS_SCALAR
HS_INLINE hs_v16 hs_v_special(hs_v16 v) {
    return hs_v_or(hs_v_or(hs_v_eq(v, hs_v_splat('"')), hs_v_eq(v, hs_v_splat('\\'))), hs_v_below_0x20(v));
}
HS_INLINE hs_v16 hs_v_string_stop(hs_v16 v) {
    return hs_v_or(hs_v_or(hs_v_eq(v, hs_v_splat('"')), hs_v_eq(v, hs_v_splat('\\'))), hs_v_below_0x20_or_high(v));
}
#endif

// ---- Finding ----

/// Bit i is set where p[i] is `"`, `\` or below 0x20. Reads exactly 16 bytes.
HS_INLINE uint32_t hs_special_mask16(const void *p) {
#if HS_SCALAR
    return hs_scalar_special_mask16(p);
#else
    return hs_v_mask(hs_v_special(hs_v_load(p)));
#endif
}

/// The same for exactly 64 bytes.
HS_INLINE uint64_t hs_special_mask64(const void *bytes) {
    const uint8_t *p = (const uint8_t *)bytes;
    return (uint64_t)hs_special_mask16(p) | (uint64_t)hs_special_mask16(p + 16) << 16 |
           (uint64_t)hs_special_mask16(p + 32) << 32 | (uint64_t)hs_special_mask16(p + 48) << 48;
}

/// The index of the first `"`, `\` or byte below 0x20, or n. Reads nothing past p + n.
HS_INLINE size_t hs_find_special(const void *bytes, size_t n) {
    const uint8_t *p = (const uint8_t *)bytes;
    size_t i = 0;
#if !HS_SCALAR
    for (; n - i >= 16; i += 16) {
        uint32_t m = hs_v_mask(hs_v_special(hs_v_load(p + i)));
        if (m) return i + (size_t)__builtin_ctz(m);
    }
#endif
    return i + hs_scalar_find_special(p + i, n - i);
}

/// The index of the first `"`, `\`, byte below 0x20 or byte of 0x80 and above, or n. Reads nothing past p + n.
HS_INLINE size_t hs_find_string_stop(const void *bytes, size_t n) {
    const uint8_t *p = (const uint8_t *)bytes;
    size_t i = 0;
#if !HS_SCALAR
    for (; n - i >= 16; i += 16) {
        uint32_t m = hs_v_mask(hs_v_string_stop(hs_v_load(p + i)));
        if (m) return i + (size_t)__builtin_ctz(m);
    }
#endif
    return i + hs_scalar_find_string_stop(p + i, n - i);
}

/// The index of the first byte c, or n. Reads nothing past p + n.
HS_INLINE size_t hs_find_byte(const void *bytes, size_t n, uint8_t c) {
    const uint8_t *p = (const uint8_t *)bytes;
    size_t i = 0;
#if !HS_SCALAR
    for (; n - i >= 16; i += 16) {
        uint32_t m = hs_v_mask(hs_v_eq(hs_v_load(p + i), hs_v_splat(c)));
        if (m) return i + (size_t)__builtin_ctz(m);
    }
#endif
    return i + hs_scalar_find_byte(p + i, n - i, c);
}

// ---- Text ----

/// How many bytes at the start are ASCII. Reads nothing past p + n.
HS_INLINE size_t hs_ascii_prefix(const void *bytes, size_t n) {
    const uint8_t *p = (const uint8_t *)bytes;
    size_t i = 0;
#if !HS_SCALAR
    for (; n - i >= 64; i += 64) {
        hs_v16 a = hs_v_or(hs_v_load(p + i), hs_v_load(p + i + 16));
        hs_v16 b = hs_v_or(hs_v_load(p + i + 32), hs_v_load(p + i + 48));
        if (hs_v_mask(hs_v_or(a, b))) break;
    }
    for (; n - i >= 16; i += 16) {
        uint32_t m = hs_v_mask(hs_v_load(p + i));
        if (m) return i + (size_t)__builtin_ctz(m);
    }
#endif
    return i + hs_scalar_ascii_prefix(p + i, n - i);
}

/// Whether all n bytes are ASCII. Reads nothing past p + n.
HS_INLINE bool hs_is_ascii(const void *p, size_t n) { return hs_ascii_prefix(p, n) == n; }

/// The length of the UTF-8 sequence at p, 1...4, or 0 where there is no whole valid one in n bytes: shortest form only,
/// no surrogates, nothing above U+10FFFF (RFC 3629 section 4).
HS_INLINE size_t hs_utf8_sequence(const void *bytes, size_t n) {
    const uint8_t *p = (const uint8_t *)bytes;
    if (n == 0) return 0;
    uint8_t c = p[0];
    if (c < 0x80) return 1;
    if (c < 0xc2 || n < 2) return 0;
    if (c < 0xe0) return (p[1] & 0xc0) == 0x80 ? 2 : 0;
    if (c < 0xf0) {
        uint8_t low = c == 0xe0 ? 0xa0 : 0x80, high = c == 0xed ? 0x9f : 0xbf;
        return n >= 3 && p[1] >= low && p[1] <= high && (p[2] & 0xc0) == 0x80 ? 3 : 0;
    }
    if (c > 0xf4 || n < 4) return 0;
    uint8_t low = c == 0xf0 ? 0x90 : 0x80, high = c == 0xf4 ? 0x8f : 0xbf;
    return p[1] >= low && p[1] <= high && (p[2] & 0xc0) == 0x80 && (p[3] & 0xc0) == 0x80 ? 4 : 0;
}

HS_OUTLINE size_t hs_utf8_prefix_from(const void *bytes, size_t i, size_t n) {
    const uint8_t *p = (const uint8_t *)bytes;
    while (i < n) {
        size_t k = hs_utf8_sequence(p + i, n - i);
        if (k == 0) return i;
        i += k;
        if (k == 1) i += hs_ascii_prefix(p + i, n - i);
    }
    return n;
}

/// How many bytes at the start are whole valid UTF-8 sequences: n where all is valid. Reads nothing past p + n.
HS_INLINE size_t hs_utf8_prefix(const void *p, size_t n) {
    size_t i = hs_ascii_prefix(p, n);
    return i == n ? n : hs_utf8_prefix_from(p, i, n);
}

/// Whether all n bytes are valid UTF-8 (RFC 3629). Reads nothing past p + n.
HS_INLINE bool hs_is_utf8(const void *p, size_t n) { return hs_utf8_prefix(p, n) == n; }

/// Whether n bytes, 0...3, that `hs_utf8_prefix` left over can still become a valid sequence by more bytes behind them
/// (a text message whose fragment ends within a character, RFC 6455 section 5.6). Reads nothing past p + n.
HS_OUTLINE bool hs_utf8_can_continue(const void *bytes, size_t n) {
    const uint8_t *p = (const uint8_t *)bytes;
    if (n == 0) return true;
    if (n > 3 || p[0] < 0xc2 || p[0] > 0xf4) return false;
    size_t whole = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (n >= whole) return false;
    if (n >= 2) {
        uint8_t low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
        uint8_t high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
        if (p[1] < low || p[1] > high) return false;
    }
    return n < 3 || (p[2] & 0xc0) == 0x80;
}

// ---- Hex ----

/// 2n hex digits of any case to n bytes; whether all were hex digits (if not, `bytes` holds anything).
/// Reads nothing past the digits and writes nothing past the bytes.
HS_INLINE bool hs_hex_decode(const void *digits, void *bytes, size_t n) {
#if HS_SCALAR
    return hs_scalar_hex_decode(digits, bytes, n);
#else
    const uint8_t *p = (const uint8_t *)digits;
    uint8_t *out = (uint8_t *)bytes;
    hs_v16 bad = hs_v_splat(0);
    size_t i = 0;
    for (; n - i >= 16; i += 16) {
        hs_v16 a = hs_v_nibbles(hs_v_load(p + 2 * i), &bad), b = hs_v_nibbles(hs_v_load(p + 2 * i + 16), &bad);
        hs_v_store(out + i, hs_v_pack(a, b));
    }
    if (n - i >= 8) {
        uint64_t x = hs_v_pack_half(hs_v_nibbles(hs_v_load(p + 2 * i), &bad));
        memcpy(out + i, &x, 8);
        i += 8;
    }
    if (i == n) return hs_v_mask(bad) == 0;
    if (n >= 8) {  // the last step overlaps the one before
        uint64_t x = hs_v_pack_half(hs_v_nibbles(hs_v_load(p + 2 * n - 16), &bad));
        memcpy(out + n - 8, &x, 8);
        return hs_v_mask(bad) == 0;
    }
    return hs_scalar_hex_decode(p + 2 * i, out + i, n - i) && hs_v_mask(bad) == 0;
#endif
}

/// 16, 40, 64 and 512 digits: a nonce, an address, a hash, a bloom. As `hs_hex_decode`, without its branches.
HS_INLINE bool hs_hex_8(const void *digits, void *bytes) { return hs_hex_decode(digits, bytes, 8); }
HS_INLINE bool hs_hex_20(const void *digits, void *bytes) { return hs_hex_decode(digits, bytes, 20); }
HS_INLINE bool hs_hex_32(const void *digits, void *bytes) { return hs_hex_decode(digits, bytes, 32); }
HS_INLINE bool hs_hex_256(const void *digits, void *bytes) { return hs_hex_decode(digits, bytes, 256); }

/// 1...16 hex digits of any case to an integer; false where n is out of that range or one is no hex digit.
/// Reads up to 16 bytes from `digits` whatever n is.
HS_INLINE bool hs_hex_quantity(const void *digits, size_t n, uint64_t *value) {
#if HS_SCALAR
    return hs_scalar_hex_quantity(digits, n, value);
#else
    if (n == 0 || n > 16) return false;
    hs_v16 bad = hs_v_splat(0);
    uint64_t x = hs_from_big64(hs_v_pack_half(hs_v_nibbles(hs_v_load(digits), &bad)));
    *value = x >> (64 - 4 * n);  // the digits stand at the top; what followed them falls out
    return (hs_v_mask(bad) & ((1u << n) - 1)) == 0;
#endif
}

/// A quantity that ends at a `"`: its number of digits, 1...16, leading zeros included, or 0 where it is empty or longer
/// or a digit is no hex digit. Reads up to 32 bytes from `digits`.
HS_INLINE size_t hs_hex_quantity_to_quote(const void *digits, uint64_t *value) {
    const uint8_t *p = (const uint8_t *)digits;
#if HS_SCALAR
    size_t n = hs_scalar_find_byte(p, 17, '"');
    if (n == 17) return 0;
    return hs_scalar_hex_quantity(p, n, value) ? n : 0;
#else
    hs_v16 v = hs_v_load(p), bad = hs_v_splat(0);
    uint32_t quotes = hs_v_mask(hs_v_eq(v, hs_v_splat('"'))) | (uint32_t)(p[16] == '"') << 16;
    if (quotes == 0) return 0;
    size_t n = (size_t)__builtin_ctz(quotes);
    if (n == 0) return 0;
    uint64_t x = hs_from_big64(hs_v_pack_half(hs_v_nibbles(v, &bad)));
    *value = x >> (64 - 4 * n);
    return (hs_v_mask(bad) & ((1u << n) - 1)) == 0 ? n : 0;
#endif
}

/// n bytes to 2n digits, lower case. Reads and writes nothing past them.
HS_INLINE void hs_hex_encode(const void *bytes, size_t n, void *digits) {
    const uint8_t *p = (const uint8_t *)bytes;
    uint8_t *out = (uint8_t *)digits;
    size_t i = 0;
#if !HS_SCALAR
    for (; n - i >= 16; i += 16) hs_v_encode(hs_v_load(p + i), out + 2 * i);
#endif
    hs_scalar_hex_encode(p + i, n - i, out + 2 * i);
}

// ---- Comparing ----

/// Whether n bytes are the same. Reads up to 32 bytes past the end of both, so that the usual lengths take one branch.
HS_INLINE bool hs_equal_padded(const void *a, const void *b, size_t n) {
#if HS_SCALAR
    return memcmp(a, b, n) == 0;
#else
    const uint8_t *p = (const uint8_t *)a, *q = (const uint8_t *)b;
    for (;;) {
        uint32_t same = hs_v_mask(hs_v_eq(hs_v_load(p), hs_v_load(q))) |
                        hs_v_mask(hs_v_eq(hs_v_load(p + 16), hs_v_load(q + 16))) << 16;
        if (n <= 32) return ((uint64_t)~same & (((uint64_t)1 << n) - 1)) == 0;
        if (same != 0xffffffffu) return false;
        p += 32, q += 32, n -= 32;
    }
#endif
}

/// Whether n bytes are the same. Reads nothing past the end of either.
HS_INLINE bool hs_equal(const void *a, const void *b, size_t n) {
    const uint8_t *p = (const uint8_t *)a, *q = (const uint8_t *)b;
    if (n >= 8) {
        for (size_t i = 0; i + 8 < n; i += 8)
            if (hs_load64(p + i) != hs_load64(q + i)) return false;
        return hs_load64(p + n - 8) == hs_load64(q + n - 8);
    }
    if (n >= 4) return hs_load32(p) == hs_load32(q) && hs_load32(p + n - 4) == hs_load32(q + n - 4);
    for (size_t i = 0; i < n; i++)
        if (p[i] != q[i]) return false;
    return true;
}

// ---- Masking ----

/// WebSocket masking in place (RFC 6455 section 5.3): byte i of the payload is XORed with byte (offset + i) mod 4 of
/// the key, whose four bytes `key` holds in memory order. `offset` is where in the payload p stands. Touches n bytes only.
HS_INLINE void hs_xor_mask(void *bytes, size_t n, uint32_t key, size_t offset) {
    uint8_t *p = (uint8_t *)bytes, k[8];
    memcpy(k, &key, 4);
    memcpy(k + 4, &key, 4);
    uint32_t turned = hs_load32(k + (offset & 3));
    size_t i = 0;
#if !HS_SCALAR
    hs_v16 v = hs_v_splat32(turned);
    for (; n - i >= 64; i += 64)
        for (unsigned j = 0; j < 64; j += 16) hs_v_store(p + i + j, hs_v_xor(hs_v_load(p + i + j), v));
    for (; n - i >= 16; i += 16) hs_v_store(p + i, hs_v_xor(hs_v_load(p + i), v));
#endif
    hs_scalar_xor_mask(p + i, n - i, turned, i);
}

#if __has_feature(nullability)
#pragma clang assume_nonnull end
#endif
