// OpenSSL 3, as Debian's libssl-dev installs it. Its function-like macros do not import into Swift, so the ones
// that are needed stand here as static inline functions.
#pragma once
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
