#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Writes a transcript while it happens.
///
/// Each entry is handed to the system whole, in one call, so that a file is complete up to its last line whenever the
/// recording process ends, also by a crash. Not thread-safe: one owner writes.
public final class TranscriptWriter {
    /// The file.
    public let path: String
    private var descriptor: CInt
    /// The file's length after its last whole entry.
    private var length = 0

    /// Creates the file, or empties it. It is readable by its owner only: recordings may hold what a user asked for.
    public init(path: String) throws(TranscriptError) {
        self.path = path
        self.descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard self.descriptor >= 0 else { throw TranscriptError.system("cannot be created", path: path) }
    }

    deinit {
        if self.descriptor >= 0 { _ = closeDescriptor(self.descriptor) }
    }

    /// Appends one entry. Throws if the system does not take it, for instance because the disk is full; what it took
    /// of the entry is taken back then, so that the file ends with a whole line.
    public func write(_ event: Transcript.Event, at time: Duration? = nil) throws(TranscriptError) {
        var bytes: [UInt8] = []
        Transcript.Entry(event, at: time).append(to: &bytes)
        try self.write(bytes)
    }

    /// Ends the file. Closing twice does nothing.
    public func close() throws(TranscriptError) {
        guard self.descriptor >= 0 else { return }
        let result = closeDescriptor(self.descriptor)
        self.descriptor = -1
        if result != 0 { throw TranscriptError.system("cannot be written in full", path: self.path) }
    }

    func write(_ bytes: [UInt8]) throws(TranscriptError) {
        guard self.descriptor >= 0 else {
            throw TranscriptError(file: self.path, line: 0, reason: "is closed")
        }
        var offset = 0
        while offset < bytes.count {
            let count = bytes.withUnsafeBytes { buffer in
                writeBytes(self.descriptor, UnsafeRawBufferPointer(rebasing: buffer[offset...]))
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else {
                let error = TranscriptError.system("cannot be written", path: self.path)
                // Not possible on a pipe, and then not needed by its reader.
                if offset > 0 { _ = ftruncate(self.descriptor, off_t(self.length)) }
                throw error
            }
            offset += count
        }
        self.length += offset
    }
}

/// `write(2)` and `close(2)` by other names: inside the class its own methods hide them.
private func writeBytes(_ descriptor: CInt, _ bytes: UnsafeRawBufferPointer) -> Int {
    write(descriptor, bytes.baseAddress, bytes.count)
}

private func closeDescriptor(_ descriptor: CInt) -> CInt {
    close(descriptor)
}
