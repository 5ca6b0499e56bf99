import Headstream

/// What a command line says about TLS.
enum TLSOptions {
    static let authority = Option(
        "cacert",
        "FILE",
        .file,
        help: "With wss://: trust the certificates of this PEM file, and no others."
    )
    static let certificate = Option(
        "cert",
        "FILE",
        .file,
        help: "With wss://: show this client certificate (PEM); its key may stand in the same file."
    )
    static let key = Option("key", "FILE", .file, help: "The private key of --cert (PEM, not encrypted).")

    static let all: [any OptionDeclaration] = [authority, certificate, key]

    /// - Throws: ``UsageError`` for a key without a certificate.
    static func apply(_ arguments: Arguments, of command: String, to configuration: inout Configuration) throws {
        if let path = arguments[self.authority] { configuration.tls.trustRoots = .file(path) }
        let key = arguments[self.key]
        if let path = arguments[self.certificate] {
            configuration.tls.clientCertificate = .files(certificate: path, key: key)
        } else if key != nil {
            throw UsageError(command: "headstream \(command)", message: "--key goes with --cert, which is missing")
        }
    }
}
