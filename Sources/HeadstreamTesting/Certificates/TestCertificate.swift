public import Headstream
import HeadstreamSockets

/// A certificate for a server or a client of a test, with its private key, all in PEM.
public struct TestCertificate: Hashable, Sendable {
    /// The certificate, and behind it those between it and its authority.
    public let pem: String
    public let privateKeyPEM: String
    /// The certificate of the authority that signed it; its own, where it is self-signed.
    public let authorityPEM: String

    package init(pem: String, privateKeyPEM: String, authorityPEM: String) {
        self.pem = pem
        self.privateKeyPEM = privateKeyPEM
        self.authorityPEM = authorityPEM
    }

    /// For ``TLSConfiguration/trustRoots`` of a client that is to trust it.
    public var trustRoots: TLSConfiguration.TrustRoots { .pem(self.authorityPEM) }

    /// For ``TLSConfiguration/clientCertificate``.
    public var clientCertificate: TLSConfiguration.ClientCertificate {
        .pem(certificate: self.pem, key: self.privateKeyPEM)
    }

    package var identity: TLSSettings.Identity {
        TLSSettings.Identity(certificate: .pem(self.pem), key: .pem(self.privateKeyPEM))
    }
}

extension TestCertificate: CustomStringConvertible, CustomReflectable {
    public var description: String { "certificate of a test" }

    /// Without the key.
    public var customMirror: Mirror { Mirror(self, children: []) }
}
