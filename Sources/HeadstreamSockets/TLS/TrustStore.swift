internal import CHeadstreamOpenSSL
internal import Glibc

/// Fills an `X509_STORE` with the certificates to trust, all at once and off the loop: nothing is looked up in a
/// directory during a handshake.
struct TrustStore {
    /// The files and folders that were read.
    private(set) var stamps: [FileStamp] = []
    private let store: OpaquePointer
    private var count = 0

    /// Bundles that distributions have where OpenSSL's own default is not.
    private static let usualFiles = [
        "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem",
    ]

    /// - Throws: `.tls(.trustUnusable)`, which names what was set and what is wrong with it. OpenSSL itself says nothing
    ///   and refuses every server later.
    static func fill(_ store: OpaquePointer, _ trust: TLSSettings.Trust) throws(SocketError) -> [FileStamp] {
        var filler = Self(store: store)
        switch trust {
        case .only(.pem(let text)):
            try filler.add(pem: Array(text.utf8), from: "the PEM text of certificates to trust")
        case .only(.file(let path)):
            try filler.add(file: path, from: "the file of certificates to trust, \(path),")
        case .system(let file, let directory):
            try filler.addSystem(file, directory)
        }
        return filler.stamps
    }

    private init(store: OpaquePointer) {
        self.store = store
    }

    private mutating func addSystem(_ file: String?, _ directory: String?) throws(SocketError) {
        if let file { try self.add(file: file, from: "SSL_CERT_FILE names \(file), which") }
        if let directory { try self.add(directory: directory) }
        if file == nil, let path = X509_get_default_cert_file().map({ String(cString: $0) }) { self.addIfThere(path) }
        if directory == nil, let path = X509_get_default_cert_dir().map({ String(cString: $0) }) {
            self.addAll(of: path)
        }
        for path in Self.usualFiles where self.count == 0 { self.addIfThere(path) }
        guard self.count == 0 else { return }
        throw .tls(
            .trustUnusable,
            "this system has no certificates to trust; install its package ca-certificates, or set SSL_CERT_FILE"
        )
    }

    /// - Parameter description: begins the sentence of an error.
    private mutating func add(file path: String, from description: String) throws(SocketError) {
        switch PEMFile.read(path) {
        case .failure(let error):
            throw .tls(
                .trustUnusable,
                "\(description) cannot be read (\(SocketError.text(error.code)))",
                errno: error.code
            )
        case .success(let bytes):
            if let stamp = FileStamp(path) { self.stamps.append(stamp) }
            try self.add(pem: bytes, from: description)
        }
    }

    private mutating func add(pem: [UInt8], from description: String) throws(SocketError) {
        let certificates: [Certificate]
        do throws(PEMFile.Malformed) {
            certificates = try PEMFile.certificates(in: pem)
        } catch {
            guard case .certificate(let number) = error else { return }
            throw .tls(.trustUnusable, "\(description) is damaged: its certificate \(number) cannot be read")
        }
        guard !certificates.isEmpty else {
            throw .tls(.trustUnusable, "\(description) \(pem.isEmpty ? "is empty" : "holds no certificate")")
        }
        for certificate in certificates { self.add(certificate) }
    }

    private mutating func add(_ certificate: Certificate) {
        if X509_STORE_add_cert(self.store, certificate.pointer) == 1 { self.count += 1 }
        ERR_clear_error()
    }

    /// `SSL_CERT_DIR`: folders, with colons between them.
    private mutating func add(directory paths: String) throws(SocketError) {
        let before = self.count
        var code: Int32 = 0
        for path in paths.split(separator: ":") {
            if let failure = self.addAll(of: String(path)) { code = failure }
        }
        guard self.count == before else { return }
        let reason =
            code == 0
            ? "holds no certificate under its hashed name (openssl rehash makes those)"
            : "cannot be read (\(SocketError.text(code)))"
        throw .tls(.trustUnusable, "SSL_CERT_DIR names \(paths), which \(reason)", errno: code)
    }

    private mutating func addIfThere(_ path: String) {
        guard case .success(let bytes) = PEMFile.read(path),
            let certificates = try? PEMFile.certificates(in: bytes)
        else { return }
        if let stamp = FileStamp(path) { self.stamps.append(stamp) }
        for certificate in certificates { self.add(certificate) }
    }

    /// Adds what OpenSSL would find in a folder: files named by the hash of their certificate and a number. Returns an
    /// `errno` where the folder cannot be read.
    @discardableResult
    private mutating func addAll(of path: String) -> Int32? {
        guard !path.utf8.contains(0), let folder = opendir(path) else { return errno == 0 ? ENOENT : errno }
        defer { closedir(folder) }
        if let stamp = FileStamp(path) { self.stamps.append(stamp) }
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            let parts = name.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
            guard parts.count == 2, parts[0].count == 8, parts[0].allSatisfy(Self.isHexDigit),
                !parts[1].isEmpty, parts[1].allSatisfy({ (0x30...0x39).contains($0) }),
                case .success(let bytes) = PEMFile.read("\(path)/\(name)"),
                let certificates = try? PEMFile.certificates(in: bytes)
            else { continue }
            for certificate in certificates { self.add(certificate) }
        }
        return nil
    }

    private static func isHexDigit(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte)
    }
}
