public import Headstream

/// A certificate authority of a test's own, which nobody trusts who was not told to. It lives in memory: no file is
/// written.
///
/// ```swift
/// let authority = try TestAuthority()
/// let certificate = try authority.certificate(for: ["127.0.0.1"])
/// let node = try await TestNode(replaying: transcript, on: .secureWebSocket(certificate: certificate))
/// var configuration = Configuration()
/// configuration.tls.trustRoots = certificate.trustRoots
/// let web3 = try await Web3.connect(to: node.endpoint, configuration: configuration)
/// ```
public struct TestAuthority: Sendable {
    private let made: CertificateMaker.Made

    /// The authority's own certificate.
    public var certificatePEM: String { self.made.certificatePEM }

    /// Makes an authority with a new key.
    ///
    /// - Throws: ``Web3Error`` with `.tlsFailed` where OpenSSL cannot.
    public init(named name: String = "Headstream test authority") throws(Web3Error) {
        self.made = try CertificateMaker.make(.init(name: name, isAuthority: true))
    }

    package init(_ made: CertificateMaker.Made) {
        self.made = made
    }

    /// Signs a certificate with a new key.
    ///
    /// - Parameters:
    ///   - hosts: the names and IP addresses it is for.
    ///   - validity: from when until when, counted from now; the default is an hour ago until in a day.
    public func certificate(
        for hosts: [String] = ["localhost", "127.0.0.1", "::1"],
        validity: ClosedRange<Duration> = .seconds(-3600) ... .seconds(86_400)
    ) throws(Web3Error) -> TestCertificate {
        let request = CertificateMaker.Request(name: hosts.first ?? "test", hosts: hosts, validity: validity)
        let leaf = try CertificateMaker.make(request, signedBy: self.made)
        return TestCertificate(
            pem: leaf.certificatePEM,
            privateKeyPEM: leaf.privateKeyPEM,
            authorityPEM: self.certificatePEM
        )
    }

    /// An authority below this one.
    package func intermediate(named name: String) throws(Web3Error) -> TestAuthority {
        TestAuthority(try CertificateMaker.make(.init(name: name, isAuthority: true), signedBy: self.made))
    }

    /// A certificate that is its own authority.
    package static func selfSigned(for hosts: [String]) throws(Web3Error) -> TestCertificate {
        let made = try CertificateMaker.make(.init(name: hosts.first ?? "test", hosts: hosts))
        return TestCertificate(
            pem: made.certificatePEM,
            privateKeyPEM: made.privateKeyPEM,
            authorityPEM: made.certificatePEM
        )
    }
}
