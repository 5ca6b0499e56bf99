import CHeadstreamOpenSSL
package import Headstream
import HeadstreamSockets

/// Makes X.509 certificates (RFC 5280) with keys on P-256.
package enum CertificateMaker {
    package struct Request: Sendable {
        package var name: String
        package var hosts: [String] = []
        package var isAuthority = false
        package var validity: ClosedRange<Duration> = .seconds(-3600) ... .seconds(86_400)

        package init(
            name: String,
            hosts: [String] = [],
            isAuthority: Bool = false,
            validity: ClosedRange<Duration> = .seconds(-3600) ... .seconds(86_400)
        ) {
            self.name = name
            self.hosts = hosts
            self.isAuthority = isAuthority
            self.validity = validity
        }
    }

    package struct Made: Sendable {
        package var certificatePEM: String
        package var privateKeyPEM: String
    }

    /// - Parameter issuer: who signs it; itself if nil.
    package static func make(_ request: Request, signedBy issuer: Made? = nil) throws(Web3Error) -> Made {
        headstream_openssl_begin()
        defer { ERR_clear_error() }
        guard let key = headstream_new_key() else { throw Self.failure("no key") }
        defer { EVP_PKEY_free(key) }
        guard let certificate = X509_new() else { throw Self.failure("no memory") }
        defer { X509_free(certificate) }
        var signer = (certificate: certificate, key: key)
        if let issuer { signer = try Self.read(issuer) }
        defer {
            if issuer != nil {
                X509_free(signer.certificate)
                EVP_PKEY_free(signer.key)
            }
        }
        let name = Array(request.name.utf8)
        let subject = X509_get_subject_name(certificate)
        let isFilled =
            X509_set_version(certificate, 2) == 1
            && ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), .random(in: 1...UInt64(Int64.max))) == 1
            && X509_gmtime_adj(X509_getm_notBefore(certificate), Self.seconds(request.validity.lowerBound)) != nil
            && X509_gmtime_adj(X509_getm_notAfter(certificate), Self.seconds(request.validity.upperBound)) != nil
            // MBSTRING_UTF8
            && X509_NAME_add_entry_by_txt(subject, "CN", 0x1000, name, Int32(clamping: name.count), -1, 0) == 1
            && X509_set_issuer_name(certificate, X509_get_subject_name(signer.certificate)) == 1
            && X509_set_pubkey(certificate, key) == 1
        guard isFilled else { throw Self.failure("the fields of “\(request.name)” cannot be set") }
        var extensions = [(NID_subject_key_identifier, "hash")]
        if request.isAuthority {
            extensions += [
                (NID_basic_constraints, "critical,CA:TRUE"), (NID_key_usage, "critical,keyCertSign,cRLSign"),
            ]
        } else {
            extensions += [(NID_ext_key_usage, "serverAuth,clientAuth")]
        }
        if issuer != nil { extensions.append((NID_authority_key_identifier, "keyid:always")) }
        if !request.hosts.isEmpty {
            let names = request.hosts.map { "\(Self.isAddress($0) ? "IP" : "DNS"):\($0)" }
            extensions.append((NID_subject_alt_name, names.joined(separator: ",")))
        }
        for (kind, text) in extensions {
            try Self.add(kind, text, to: certificate, signedBy: signer.certificate)
        }
        guard X509_sign(certificate, signer.key, EVP_sha256()) > 0 else { throw Self.failure("it cannot be signed") }
        return Made(
            certificatePEM: try Self.pem { PEM_write_bio_X509($0, certificate) },
            privateKeyPEM: try Self.pem { PEM_write_bio_PrivateKey($0, key, nil, nil, 0, nil, nil) }
        )
    }

    private static func add(
        _ kind: Int32,
        _ text: String,
        to certificate: OpaquePointer,
        signedBy signer: OpaquePointer
    ) throws(Web3Error) {
        var context = X509V3_CTX()
        X509V3_set_ctx(&context, signer, certificate, nil, nil, 0)
        guard let made = X509V3_EXT_conf_nid(nil, &context, kind, text) else {
            throw Self.failure("“\(text)” is no value for it")
        }
        defer { X509_EXTENSION_free(made) }
        guard X509_add_ext(certificate, made, -1) == 1 else { throw Self.failure("no memory") }
    }

    private static func read(_ made: Made) throws(Web3Error) -> (certificate: OpaquePointer, key: OpaquePointer) {
        let certificate = Self.reading(made.certificatePEM) { PEM_read_bio_X509($0, nil, nil, nil) }
        let key = Self.reading(made.privateKeyPEM) { PEM_read_bio_PrivateKey($0, nil, nil, nil) }
        guard let certificate, let key else { throw Self.failure("the authority's own cannot be read") }
        return (certificate, key)
    }

    private static func reading(_ pem: String, _ body: (OpaquePointer) -> OpaquePointer?) -> OpaquePointer? {
        guard let memory = BIO_new(BIO_s_mem()) else { return nil }
        defer { BIO_free(memory) }
        let bytes = Array(pem.utf8)
        BIO_write(memory, bytes, Int32(clamping: bytes.count))
        return body(memory)
    }

    private static func pem(_ body: (OpaquePointer) -> Int32) throws(Web3Error) -> String {
        guard let memory = BIO_new(BIO_s_mem()) else { throw Self.failure("no memory") }
        defer { BIO_free(memory) }
        var bytes: UnsafeMutablePointer<CChar>?
        guard body(memory) == 1 else { throw Self.failure("it cannot be written") }
        let count = headstream_bio_bytes(memory, &bytes)
        return String(decoding: UnsafeRawBufferPointer(start: bytes, count: max(0, count)), as: UTF8.self)
    }

    private static func isAddress(_ host: String) -> Bool {
        guard let address = a2i_IPADDRESS(host) else { return false }
        ASN1_OCTET_STRING_free(address)
        return true
    }

    private static func seconds(_ duration: Duration) -> Int { Int(duration.components.seconds) }

    private static func failure(_ reason: String) -> Web3Error {
        Web3Error(.tlsFailed, "a certificate for a test cannot be made: \(reason)")
    }
}
