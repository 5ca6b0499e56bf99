internal import CHeadstreamOpenSSL

// What went wrong, in words. OpenSSL has a code for the verdict on the certificates and a queue of reasons.
extension TLSEngine {
    /// Why the handshake failed.
    func handshakeFailure(_ errors: TLSLibrary.Errors) -> SocketError {
        if errors.has(SSL_R_CERTIFICATE_VERIFY_FAILED), self.client != nil {
            return self.certificateFailure(SSL_get_verify_result(self.ssl))
        }
        if errors.hasAny([
            SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, SSL_R_VERSION_TOO_LOW,
            SSL_R_WRONG_SSL_VERSION, SSL_R_WRONG_VERSION_NUMBER,
        ]) {
            return .tls(
                .protocolTooOld,
                "\(self.name) does not speak TLS 1.2 or newer; older versions are not safe, so the server must be updated"
            )
        }
        if let refusal = self.refusal(errors) { return refusal }
        if errors.has(SSL_R_TLSV1_UNRECOGNIZED_NAME) {
            return .tls(.handshakeFailed, "the TLS server \(self.name) does not know this name")
        }
        if errors.has(SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE) {
            return .tls(
                .handshakeFailed,
                "\(self.name) gave up the TLS handshake: it wants a client certificate, or no cipher is common"
            )
        }
        return .tls(.handshakeFailed, "the TLS handshake with \(self.name) failed (\(errors.text))")
    }

    /// Why reading failed. With TLS 1.3 a server judges a client's certificate after the client's handshake is done.
    func failureWhileReading(_ errors: TLSLibrary.Errors) -> SocketError {
        self.refusal(errors) ?? .tls(.broken, "the TLS connection to \(self.name) failed (\(errors.text))")
    }

    /// The server wants another client certificate than it was shown, or one at all.
    private func refusal(_ errors: TLSLibrary.Errors) -> SocketError? {
        if errors.has(SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED) {
            return .tls(.clientCertificateRefused, "\(self.name) wants a client certificate, and none was given")
        }
        let isRefused = errors.hasAny([
            SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE,
            SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED, SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED,
            SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, SSL_R_TLSV1_ALERT_UNKNOWN_CA, SSL_R_TLSV1_ALERT_ACCESS_DENIED,
        ])
        guard isRefused else { return nil }
        let who = self.client == nil ? "certificate" : "client certificate"
        return .tls(.clientCertificateRefused, "\(self.name) does not accept the \(who) (\(errors.text))")
    }

    /// What the verdict says (`X509_V_ERR_…`), for people.
    func certificateFailure(_ verdict: Int) -> SocketError {
        // Where the handshake failed, the certificate is not the peer's yet: it stands first in the chain it sent.
        let chain = SSL_get_peer_cert_chain(self.ssl)
        let certificate = SSL_get0_peer_certificate(self.ssl) ?? chain.flatMap { headstream_chain_item($0, 0) }
        switch Int32(truncatingIfNeeded: verdict) {
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
            return .tls(
                .selfSigned,
                "the certificate of \(self.name) is self-signed and not trusted here; if it is the right one, give it "
                    + "as the certificate to trust"
            )
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
            X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, X509_V_ERR_CERT_UNTRUSTED,
            X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
            let issuer = certificate.flatMap { CertificateText.name(X509_get_issuer_name($0)) }
            return .tls(
                .unknownAuthority,
                "the certificate of \(self.name) is signed by an authority that is not trusted here"
                    + (issuer.map { " (\($0))" } ?? "")
                    + "; if it is your own, give its certificate as the one to trust"
            )
        case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH:
            let names = certificate.map(CertificateText.names) ?? "other names"
            return .tls(
                .wrongHost,
                "the certificate of \(self.name) is for \(names), not for \(self.client?.certificateName ?? "it")"
            )
        case X509_V_ERR_CERT_HAS_EXPIRED:
            return .tls(.expired, "\(self.rejected) expired\(self.date(isEnd: true)); the server must renew it")
        case X509_V_ERR_CERT_NOT_YET_VALID:
            return .tls(
                .notYetValid,
                "\(self.rejected) is not valid yet\(self.date(isEnd: false)); is this machine's clock right?"
            )
        default:
            let reason = X509_verify_cert_error_string(verdict).map { String(cString: $0) } ?? "error \(verdict)"
            return .tls(.invalidCertificate, "\(self.rejected) cannot be accepted (\(reason))")
        }
    }

    /// The server's own, or one of its chain.
    private var rejected: String { "a certificate of \(self.name)" }

    /// Since or until when, of the first certificate of the chain for which it holds.
    private func date(isEnd: Bool) -> String {
        guard let chain = SSL_get_peer_cert_chain(self.ssl) else { return "" }
        for index in 0..<max(0, headstream_chain_count(chain)) {
            guard let certificate = headstream_chain_item(chain, index) else { continue }
            let time = isEnd ? X509_get0_notAfter(certificate) : X509_get0_notBefore(certificate)
            // Negative: in the past.
            let order = X509_cmp_current_time(time)
            if isEnd ? order < 0 : order > 0, let text = CertificateText.date(time) {
                return isEnd ? " on \(text)" : ", from \(text) on"
            }
        }
        return ""
    }
}

/// Texts out of certificates, which are a stranger's: cut short and without control characters.
enum CertificateText {
    /// The names a certificate is for, the first few of them.
    static func names(_ certificate: OpaquePointer) -> String {
        var found: [String] = []
        var index: Int32 = 0
        while index < 1000 {
            var text = [CChar](repeating: 0, count: 128)
            let length = headstream_certificate_name(certificate, index, &text, Int32(text.count))
            if length < 0 { break }
            if length > 0 { found.append(Self.clean(text, Int(length))) }
            index += 1
        }
        if found.isEmpty, let subject = Self.entry(X509_get_subject_name(certificate), NID_commonName) {
            found.append(subject)
        }
        if found.isEmpty { return "no name" }
        let shown = found.prefix(5).joined(separator: ", ")
        return found.count > 5 ? "\(shown) and \(found.count - 5) more" : shown
    }

    /// Who a name names: the common name, or the organization.
    static func name(_ name: OpaquePointer?) -> String? {
        Self.entry(name, NID_commonName) ?? Self.entry(name, NID_organizationName)
    }

    private static func entry(_ name: OpaquePointer?, _ kind: Int32) -> String? {
        guard let name else { return nil }
        var text = [CChar](repeating: 0, count: 128)
        let length = headstream_name_entry(name, kind, &text, Int32(text.count))
        return length > 0 ? Self.clean(text, min(Int(length), text.count - 1)) : nil
    }

    static func date(_ time: UnsafePointer<ASN1_TIME>?) -> String? {
        var parts = tm()
        guard let time, ASN1_TIME_to_tm(time, &parts) == 1 else { return nil }
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
    }

    private static func clean(_ text: [CChar], _ count: Int) -> String {
        let bytes = text.prefix(count).map { UInt8(bitPattern: $0) }
        return String(decoding: bytes.map { (0x20...0x7E).contains($0) ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
    }
}
