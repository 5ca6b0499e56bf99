internal import CHeadstreamOpenSSL
internal import Glibc

/// Which file was read: a context made from it is good until it is another.
struct FileStamp: Hashable, Sendable {
    let path: String
    private let device: UInt64
    private let inode: UInt64
    private let size: Int
    private let seconds: Int
    private let nanoseconds: Int

    /// Nil where there is no such file, or it cannot be asked for.
    init?(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        self.path = path
        self.device = UInt64(status.st_dev)
        self.inode = UInt64(status.st_ino)
        self.size = Int(status.st_size)
        self.seconds = Int(status.st_mtim.tv_sec)
        self.nanoseconds = Int(status.st_mtim.tv_nsec)
    }

    var isCurrent: Bool { FileStamp(self.path) == self }
}

/// Reads PEM (RFC 7468). Blocks, so it is used off the loop.
enum PEMFile {
    /// The most that is read of a file.
    private static let sizeLimit = 32 << 20

    /// The bytes of a file, or an `errno`.
    static func read(_ path: String) -> Result<[UInt8], SystemError> {
        guard !path.utf8.contains(0) else { return .failure(SystemError(code: ENOENT)) }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return .failure(SystemError(code: errno)) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        let code: Int32 = withUnsafeTemporaryAllocation(byteCount: 32 << 10, alignment: 16) { chunk in
            while bytes.count < Self.sizeLimit {
                let count = Glibc.read(descriptor, chunk.baseAddress, chunk.count)
                if count == 0 { return 0 }
                if count > 0 {
                    bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: chunk[..<count]))
                } else if errno != EINTR {
                    return errno
                }
            }
            return EFBIG
        }
        return code == 0 ? .success(bytes) : .failure(SystemError(code: code))
    }

    struct SystemError: Error {
        var code: Int32
    }

    enum Malformed: Error {
        /// Certificate number so-and-so, from 1, cannot be read.
        case certificate(Int)
    }

    /// The certificates in PEM text, in their order; whatever else is in it is passed over.
    static func certificates(in pem: [UInt8]) throws(Malformed) -> [Certificate] {
        guard let source = Self.memory(pem) else { return [] }
        defer { BIO_free(source) }
        var found: [Certificate] = []
        while true {
            ERR_clear_error()
            if let certificate = PEM_read_bio_X509_AUX(source, nil, nil, nil) {
                found.append(Certificate(certificate))
                continue
            }
            let errors = TLSLibrary.Errors.take()
            if errors.has(PEM_R_NO_START_LINE, of: ERR_LIB_PEM) { return found }
            throw .certificate(found.count + 1)
        }
    }

    enum KeyError: Error {
        case missing, encrypted
    }

    /// The first private key in PEM text; the caller frees it. Nobody is asked for a password.
    static func privateKey(in pem: [UInt8]) throws(KeyError) -> OpaquePointer {
        guard let source = Self.memory(pem) else { throw .missing }
        defer { BIO_free(source) }
        // Without a callback OpenSSL would ask on the terminal.
        var wasAsked = false
        let key = withUnsafeMutablePointer(to: &wasAsked) { flag in
            PEM_read_bio_PrivateKey(
                source,
                nil,
                { _, _, _, flag in
                    flag?.assumingMemoryBound(to: Bool.self).pointee = true
                    return -1
                },
                flag
            )
        }
        ERR_clear_error()
        if let key { return key }
        throw wasAsked ? .encrypted : .missing
    }

    /// A copy of the bytes as OpenSSL reads them.
    private static func memory(_ bytes: [UInt8]) -> OpaquePointer? {
        guard let memory = BIO_new(BIO_s_mem()) else { return nil }
        let written = bytes.withUnsafeBytes { BIO_write(memory, $0.baseAddress, Int32(clamping: $0.count)) }
        if written < bytes.count {
            BIO_free(memory)
            return nil
        }
        return memory
    }
}

/// An X.509 certificate.
///
/// `@unchecked Sendable`: OpenSSL counts references to it atomically, and nothing changes it.
final class Certificate: @unchecked Sendable {
    let pointer: OpaquePointer

    /// Takes over a reference.
    init(_ pointer: OpaquePointer) {
        self.pointer = pointer
    }

    deinit {
        X509_free(self.pointer)
    }
}
