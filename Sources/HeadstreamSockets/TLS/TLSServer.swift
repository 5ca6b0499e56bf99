internal import CHeadstreamOpenSSL
internal import Glibc

/// What a listener needs to speak TLS: a certificate and its key. For nodes of tests.
///
/// `@unchecked Sendable`: nothing changes the context once it is made, and OpenSSL counts references to it atomically.
package final class TLSServer: @unchecked Sendable {
    let pointer: OpaquePointer

    /// - Parameters:
    ///   - identity: the certificate, with those between it and its authority behind it, and its key. Files block.
    ///   - clientAuthorities: whose certificates clients must show; nobody's if nil.
    /// - Throws: `.tls(.certificateUnusable)` or `.tls(.trustUnusable)`.
    package init(
        _ identity: TLSSettings.Identity,
        clientAuthorities: TLSSettings.Source? = nil
    ) throws(SocketError) {
        headstream_openssl_begin()
        ERR_clear_error()
        guard let context = SSL_CTX_new(TLS_server_method()) else { throw .noTLSContext() }
        do throws(SocketError) {
            guard headstream_ctx_prepare(context) == 1, let store = SSL_CTX_get_cert_store(context) else {
                throw .noTLSContext()
            }
            _ = try TLSIdentity.use(identity, in: context, named: "the server's certificate")
            // Tickets of servers that ask for certificates must say whose they are.
            let name = Array("headstream".utf8)
            SSL_CTX_set_session_id_context(context, name, UInt32(name.count))
            if let clientAuthorities {
                _ = try TrustStore.fill(store, .only(clientAuthorities))
                SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
            }
            SSL_CTX_set_alpn_select_cb(
                context,
                { _, selected, length, offered, count, _ in
                    let own: StaticString = "http/1.1"
                    var at = 0
                    while let offered, at < Int(count) {
                        let size = Int(offered[at])
                        guard at + 1 + size <= Int(count) else { break }
                        if size == own.utf8CodeUnitCount, memcmp(offered + at + 1, own.utf8Start, size) == 0 {
                            selected?.pointee = offered + at + 1
                            length?.pointee = UInt8(size)
                            return SSL_TLSEXT_ERR_OK
                        }
                        at += 1 + size
                    }
                    return SSL_TLSEXT_ERR_NOACK
                },
                nil
            )
            self.pointer = context
        } catch {
            SSL_CTX_free(context)
            throw error
        }
    }

    deinit {
        SSL_CTX_free(self.pointer)
    }
}
