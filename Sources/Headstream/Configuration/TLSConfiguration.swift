import HeadstreamSockets

/// Whom connections to `wss://` endpoints trust, and who this side says that it is.
///
/// ```swift
/// var configuration = Configuration()
/// configuration.tls.trustRoots = .file("/etc/node/ca.pem")
/// configuration.tls.clientCertificate = .files(certificate: "me.pem", key: "me.key")
/// ```
///
/// TLS is 1.2 or 1.3. Certificates are always checked, with the host's name or address; there is no way not to. For a
/// self-signed certificate, name it in ``trustRoots``. Files are read when a connection is made, off the event loop, and
/// again when they have changed.
public struct TLSConfiguration: Hashable, Sendable {
    /// The certificates that a server's chain must lead to. One that is no root is enough to end the chain.
    public enum TrustRoots: Hashable, Sendable {
        /// What the system trusts. The variables `SSL_CERT_FILE` and `SSL_CERT_DIR` of ``Configuration/environment`` name
        /// others, as for all programs on OpenSSL.
        case system
        /// Those in this PEM file, and no others.
        case file(String)
        /// Those in this PEM text, and no others.
        case pem(String)
    }

    /// A certificate, the chain behind it, and its private key, which must not be encrypted.
    public struct ClientCertificate: Hashable, Sendable {
        let identity: TLSSettings.Identity

        /// From PEM files.
        ///
        /// - Parameter key: nil if the key stands in the certificate's file.
        public static func files(certificate: String, key: String? = nil) -> Self {
            Self(identity: .init(certificate: .file(certificate), key: key.map { .file($0) }))
        }

        /// From PEM texts.
        ///
        /// - Parameter key: nil if the key stands in the certificate's text.
        public static func pem(certificate: String, key: String? = nil) -> Self {
            Self(identity: .init(certificate: .pem(certificate), key: key.map { .pem($0) }))
        }
    }

    /// Default: what the system trusts.
    public var trustRoots = TrustRoots.system
    /// What is shown to a server that asks for a certificate. Default: nothing.
    public var clientCertificate: ClientCertificate?

    public init() {}

    package func settings(environment: [String: String]) -> TLSSettings {
        let trust: TLSSettings.Trust =
            switch self.trustRoots {
            case .system: .system(environment: environment)
            case .file(let path): .only(.file(path))
            case .pem(let text): .only(.pem(text))
            }
        return TLSSettings(trust: trust, identity: self.clientCertificate?.identity)
    }
}

extension TLSConfiguration.ClientCertificate: CustomStringConvertible, CustomReflectable {
    /// Where it is, and never the key.
    public var description: String { "\(self.identity.certificate)" }

    /// `dump` shows no more than the description does.
    public var customMirror: Mirror { Mirror(self, children: []) }
}
