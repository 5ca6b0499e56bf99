internal import CHeadstreamOpenSSL

/// A client's `SSL_CTX` for one setting, with the sessions made with it. Made once, off the loop, because the system's
/// certificates take 20 ms to read, and frozen.
///
/// `@unchecked Sendable`: nothing changes the context once it is made, and OpenSSL counts references to it atomically.
final class TLSContext: @unchecked Sendable {
    let pointer: OpaquePointer
    let sessions = TLSSessions()
    /// What it was made from.
    private let stamps: [FileStamp]

    /// Reads the files that the settings name. Blocks.
    ///
    /// - Throws: `.tls` with `.trustUnusable` or `.certificateUnusable`.
    init(_ settings: TLSSettings) throws(SocketError) {
        headstream_openssl_begin()
        ERR_clear_error()
        guard let context = SSL_CTX_new(TLS_client_method()) else { throw .noTLSContext() }
        do throws(SocketError) {
            guard headstream_ctx_prepare(context) == 1, let store = SSL_CTX_get_cert_store(context) else {
                throw .noTLSContext()
            }
            self.stamps =
                try TrustStore.fill(store, settings.trust)
                + TLSIdentity.use(settings.identity, in: context, named: "the client certificate")
            // A certificate that is trusted itself ends the chain, root or not, as curl has it.
            X509_STORE_set_flags(store, UInt(X509_V_FLAG_PARTIAL_CHAIN))
            SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
            let protocols = [8] + Array("http/1.1".utf8)
            // RFC 7301; this call alone returns 0 for success.
            guard SSL_CTX_set_alpn_protos(context, protocols, UInt32(protocols.count)) == 0 else {
                throw .noTLSContext()
            }
            headstream_ctx_keep_client_sessions(context) { ssl, session in
                guard let ssl, let session else { return 0 }
                return TLSEngine.keep(session, of: ssl)
            }
            self.pointer = context
        } catch {
            SSL_CTX_free(context)
            throw error
        }
    }

    deinit {
        SSL_CTX_free(self.pointer)
    }

    /// Whether the files it was made from are still the same.
    var isCurrent: Bool { self.stamps.allSatisfy(\.isCurrent) }
}

/// A certificate and its key for a context, a client's or a server's.
enum TLSIdentity {
    /// Reads and sets them; returns which files were read.
    static func use(
        _ identity: TLSSettings.Identity?,
        in context: OpaquePointer,
        named name: String
    ) throws(SocketError) -> [FileStamp] {
        guard let identity else { return [] }
        var stamps: [FileStamp] = []
        let pem = try Self.bytes(identity.certificate, of: name, &stamps)
        var certificates: [Certificate] = []
        do throws(PEMFile.Malformed) {
            certificates = try PEMFile.certificates(in: pem)
        } catch {
            guard case .certificate(let number) = error else { return [] }
            throw Self.unusable(
                "\(name) (\(identity.certificate)) is damaged: its certificate \(number) cannot be read"
            )
        }
        guard let own = certificates.first else {
            throw Self.unusable("\(name) (\(identity.certificate)) holds no certificate")
        }
        guard SSL_CTX_use_certificate(context, own.pointer) == 1 else {
            throw Self.unusable("\(name) cannot be used (\(TLSLibrary.Errors.take().text))")
        }
        for certificate in certificates.dropFirst() {
            guard headstream_ctx_add_chain(context, certificate.pointer) == 1 else {
                throw Self.unusable("a certificate behind \(name) cannot be used (\(TLSLibrary.Errors.take().text))")
            }
        }
        let source = identity.key ?? identity.certificate
        let keyPEM = identity.key == nil ? pem : try Self.bytes(source, of: "the key of \(name)", &stamps)
        let key: OpaquePointer
        do throws(PEMFile.KeyError) {
            key = try PEMFile.privateKey(in: keyPEM)
        } catch {
            switch error {
            case .missing: throw Self.unusable("\(source) holds no private key for \(name)")
            case .encrypted:
                throw Self.unusable("the key of \(name) (\(source)) is encrypted; decrypt it first (openssl pkey)")
            }
        }
        defer { EVP_PKEY_free(key) }
        ERR_clear_error()
        guard SSL_CTX_use_PrivateKey(context, key) == 1, SSL_CTX_check_private_key(context) == 1 else {
            ERR_clear_error()
            throw Self.unusable("the key (\(source)) does not belong to \(name)")
        }
        return stamps
    }

    private static func bytes(
        _ source: TLSSettings.Source,
        of name: String,
        _ stamps: inout [FileStamp]
    ) throws(SocketError) -> [UInt8] {
        switch source {
        case .pem(let text): return Array(text.utf8)
        case .file(let path):
            switch PEMFile.read(path) {
            case .failure(let error):
                throw Self.unusable("\(name), \(path), cannot be read (\(SocketError.text(error.code)))", error.code)
            case .success(let bytes):
                if let stamp = FileStamp(path) { stamps.append(stamp) }
                return bytes
            }
        }
    }

    private static func unusable(_ message: String, _ errno: Int32 = 0) -> SocketError {
        .tls(.certificateUnusable, message, errno: errno)
    }
}

extension SocketError {
    static func noTLSContext() -> Self {
        .tls(.unavailable, "OpenSSL cannot be used (\(TLSLibrary.Errors.take().text))")
    }
}
