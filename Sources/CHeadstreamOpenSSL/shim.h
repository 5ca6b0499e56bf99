// OpenSSL 3, as Debian's libssl-dev installs it. Its function-like macros do not import into Swift, so the ones
// that are needed stand here as static inline functions, and with them the BIO between OpenSSL and a socket.
#pragma once
#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// To be called before anything else of OpenSSL: without it, `exit()` on one thread takes OpenSSL apart while another
/// is still inside it (openssl#6214). Calling it again costs nothing.
static inline void headstream_openssl_begin(void) {
    OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
}

// MARK: The BIO

/// Ciphertext on its way between a socket and OpenSSL. One serves a whole loop: `input` is set for one call into
/// OpenSSL, and `output` is taken away after it.
struct headstream_tls_stream {
    const unsigned char *input;
    size_t input_count;
    unsigned char *output;
    size_t output_count;
    size_t output_capacity;
};

static inline void headstream_tls_release_output(struct headstream_tls_stream *stream) {
    free(stream->output);
    stream->output = NULL;
    stream->output_count = stream->output_capacity = 0;
}

static inline int headstream_bio_read(BIO *bio, char *target, size_t count, size_t *done) {
    struct headstream_tls_stream *stream = (struct headstream_tls_stream *)BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (stream->input_count == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    if (count > stream->input_count) count = stream->input_count;
    memcpy(target, stream->input, count);
    stream->input += count;
    stream->input_count -= count;
    *done = count;
    return 1;
}

/// Takes everything, so that OpenSSL never has a write to repeat.
static inline int headstream_bio_write(BIO *bio, const char *source, size_t count, size_t *done) {
    struct headstream_tls_stream *stream = (struct headstream_tls_stream *)BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (stream->output_capacity - stream->output_count < count) {
        size_t capacity = stream->output_capacity < 32768 ? 32768 : stream->output_capacity * 2;
        if (capacity - stream->output_count < count) capacity = stream->output_count + count;
        unsigned char *grown = (unsigned char *)realloc(stream->output, capacity);
        if (grown == NULL) return 0;
        stream->output = grown;
        stream->output_capacity = capacity;
    }
    memcpy(stream->output + stream->output_count, source, count);
    stream->output_count += count;
    *done = count;
    return 1;
}

static inline long headstream_bio_control(BIO *bio, int command, long number, void *pointer) {
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP ? 1 : 0;
}

/// The BIO's kind; NULL where there is no memory.
static inline BIO_METHOD *headstream_bio_method(void) {
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "headstream");
    if (method == NULL) return NULL;
    BIO_meth_set_read_ex(method, headstream_bio_read);
    BIO_meth_set_write_ex(method, headstream_bio_write);
    BIO_meth_set_ctrl(method, headstream_bio_control);
    return method;
}

/// Gives `ssl` a BIO on `stream`, which must outlive it. Returns 0 where there is no memory.
static inline int headstream_ssl_attach(SSL *ssl, const BIO_METHOD *method, struct headstream_tls_stream *stream) {
    BIO *bio = BIO_new(method);
    if (bio == NULL) return 0;
    BIO_set_data(bio, stream);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    return 1;
}

// MARK: Macros

/// What every context of this package has in common, client's or server's. Returns 0 on failure.
static inline int headstream_ctx_prepare(SSL_CTX *context) {
    SSL_CTX_set_mode(
        context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    return (int)SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
}

/// Sessions are given to the callback and kept nowhere else.
static inline void headstream_ctx_keep_client_sessions(SSL_CTX *context, int (*kept)(SSL *, SSL_SESSION *)) {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, kept);
}

static inline int headstream_ctx_add_chain(SSL_CTX *context, X509 *certificate) {
    return (int)SSL_CTX_add1_chain_cert(context, certificate);
}

static inline int headstream_ssl_set_name(SSL *ssl, const char *name) {
    return (int)SSL_set_tlsext_host_name(ssl, name);
}

static inline int headstream_error_library(unsigned long error) { return ERR_GET_LIB(error); }
static inline int headstream_error_reason(unsigned long error) { return ERR_GET_REASON(error); }

/// A new key on the curve P-256; NULL on failure.
static inline EVP_PKEY *headstream_new_key(void) {
    return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
}

/// The bytes a memory BIO holds.
static inline long headstream_bio_bytes(BIO *bio, char **bytes) { return BIO_get_mem_data(bio, bytes); }

// MARK: What a certificate says

/// Name `index` that a certificate is for, as text with a zero behind it: a DNS name, or an IP address.
/// Returns its length, 0 for a name of another kind, -1 behind the last.
static inline int headstream_certificate_name(X509 *certificate, int index, char *text, int capacity) {
    GENERAL_NAMES *names = (GENERAL_NAMES *)X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    if (names == NULL) return -1;
    int length = -1;
    if (index < sk_GENERAL_NAME_num(names)) {
        GENERAL_NAME *name = sk_GENERAL_NAME_value(names, index);
        length = 0;
        if (name->type == GEN_DNS) {
            length = ASN1_STRING_length(name->d.dNSName);
            if (length > capacity - 1) length = capacity - 1;
            memcpy(text, ASN1_STRING_get0_data(name->d.dNSName), (size_t)length);
        } else if (name->type == GEN_IPADD) {
            const unsigned char *bytes = ASN1_STRING_get0_data(name->d.iPAddress);
            int count = ASN1_STRING_length(name->d.iPAddress);
            if (count == 4) length = snprintf(text, (size_t)capacity, "%d.%d.%d.%d", bytes[0], bytes[1], bytes[2], bytes[3]);
            if (count == 16) {
                for (int word = 0; word < 8 && length < capacity; word++) {
                    length += snprintf(text + length, (size_t)(capacity - length), word == 0 ? "%x" : ":%x",
                                       bytes[2 * word] << 8 | bytes[2 * word + 1]);
                }
            }
            if (length > capacity - 1) length = capacity - 1;
        }
        text[length] = 0;
    }
    GENERAL_NAMES_free(names);
    return length;
}

/// An entry of a certificate's name, such as NID_commonName, as text; returns its length, -1 where there is none.
static inline int headstream_name_entry(const X509_NAME *name, int kind, char *text, int capacity) {
    return X509_NAME_get_text_by_NID((X509_NAME *)name, kind, text, capacity);
}

static inline int headstream_chain_count(const STACK_OF(X509) *chain) { return sk_X509_num(chain); }
static inline X509 *headstream_chain_item(const STACK_OF(X509) *chain, int index) { return sk_X509_value(chain, index); }
