/// How TLS can fail. ``SocketError/message`` says it in words.
package enum TLSFailure: Hashable, Sendable {
    /// The chain of certificates leads to no authority that is trusted.
    case unknownAuthority
    /// The certificate is its own authority.
    case selfSigned
    /// The certificate is for other names.
    case wrongHost
    case expired
    case notYetValid
    /// Something else is wrong with a certificate of the chain: revoked, not for servers, a key too weak.
    case invalidCertificate
    /// The other end speaks older versions than TLS 1.2 only.
    case protocolTooOld
    /// The other end answers in plain HTTP.
    case plainHTTP
    /// The other end speaks something that is not TLS.
    case notTLS
    /// The connection ended in the handshake.
    case cut
    /// The other end wants a certificate of this side, or does not accept the one it was shown.
    case clientCertificateRefused
    /// The other end gave the handshake up, or broke its rules.
    case handshakeFailed
    /// Bytes came before TLS began that would have been taken for protected ones.
    case injected
    /// After the handshake: what came was not what the peer sent.
    case broken
    /// The certificates to trust cannot be read, or there are none.
    case trustUnusable
    /// The own certificate or its key cannot be used.
    case certificateUnusable
    /// This loop, or this system at this moment, cannot do TLS.
    case unavailable

    /// Whether another attempt may end otherwise although nobody changed a setting: a server that restarts, or one of
    /// several behind an address that is not what the others are.
    package var mayPass: Bool {
        switch self {
        case .cut, .handshakeFailed, .plainHTTP, .notTLS, .broken, .unavailable: true
        case .unknownAuthority, .selfSigned, .wrongHost, .expired, .notYetValid, .invalidCertificate, .protocolTooOld,
            .clientCertificateRefused, .injected, .trustUnusable, .certificateUnusable:
            false
        }
    }

    /// Whether the certificate is what was wrong.
    package var isAboutPeerCertificate: Bool {
        switch self {
        case .unknownAuthority, .selfSigned, .wrongHost, .expired, .notYetValid, .invalidCertificate: true
        default: false
        }
    }
}

extension SocketError {
    static func tls(_ failure: TLSFailure, _ message: String, errno: Int32 = 0) -> Self {
        Self(.tls(failure), errno: errno, message: message)
    }
}
