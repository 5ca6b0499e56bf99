/// Whom a TLS connection trusts, and who it says that it is. Connections with equal settings share one frozen context and
/// its sessions, and no others do.
package struct TLSSettings: Hashable, Sendable {
    /// PEM text, or the file it is in.
    package enum Source: Hashable, Sendable {
        case file(String)
        case pem(String)
    }

    /// Where the certificates come from that a chain must lead to.
    package enum Trust: Hashable, Sendable {
        /// What the system trusts, as programs on OpenSSL find it: the values of `SSL_CERT_FILE` and `SSL_CERT_DIR`
        /// where they are set, each in place of its own default.
        case system(file: String? = nil, directory: String? = nil)
        /// These alone.
        case only(Source)
    }

    /// What this side shows when the server asks for a certificate.
    package struct Identity: Hashable, Sendable {
        /// The certificate, and behind it those between it and its authority.
        package var certificate: Source
        /// The private key, not encrypted. Nil where it stands beside the certificate.
        package var key: Source?

        package init(certificate: Source, key: Source? = nil) {
            self.certificate = certificate
            self.key = key
        }
    }

    package var trust: Trust
    package var identity: Identity?

    package init(trust: Trust = .system(), identity: Identity? = nil) {
        self.trust = trust
        self.identity = identity
    }
}

extension TLSSettings.Trust {
    /// The system's certificates as an environment names them; an empty variable is none.
    package static func system(environment: [String: String]) -> Self {
        func path(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        return .system(file: path("SSL_CERT_FILE"), directory: path("SSL_CERT_DIR"))
    }
}

extension TLSSettings.Source: CustomStringConvertible, CustomReflectable {
    /// A path, and never the text, which may be a key.
    package var description: String {
        switch self {
        case .file(let path): path
        case .pem: "PEM text"
        }
    }

    package var customMirror: Mirror { Mirror(self, children: []) }
}

/// What a client needs for TLS: its settings, and whom it wants to speak to.
package struct TLSClient: Hashable, Sendable {
    package var settings: TLSSettings
    /// The name or IP address that the server's certificate must be for, without brackets.
    package var host: String
    /// With the host, what sessions are kept under.
    package var port: UInt16

    package init(settings: TLSSettings = TLSSettings(), host: String, port: UInt16) {
        self.settings = settings
        self.host = host
        self.port = port
    }

    /// The host as certificates have it: without the dot of a fully qualified name (RFC 6066 §3), without a zone.
    var certificateName: String {
        if self.host.contains(":") { return String(self.host.prefix { $0 != "%" }) }
        return self.host.hasSuffix(".") ? String(self.host.dropLast()) : self.host
    }

    /// For errors.
    var name: String { SocketAddress.host(self.host, port: self.port).description }
}
