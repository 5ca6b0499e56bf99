#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

extension Transcript {
    /// Reads a transcript from a file.
    ///
    /// Throws a ``TranscriptError`` if the file cannot be read, has more than `maxBytes`, or is malformed.
    ///
    /// - Parameter droppingCutLine: the recording may have been ended in the middle of a line, by a crash or a full disk:
    ///   what follows the last line end is left out.
    public init(
        contentsOf path: String,
        maxBytes: Int = 512 << 20,
        droppingCutLine: Bool = false
    ) throws(TranscriptError) {
        try self.init(
            parsing: Self.read(path, maxBytes: maxBytes),
            name: path,
            droppingCutLine: droppingCutLine
        )
    }

    /// Writes the text form to a file, replacing what was there.
    public func write(to path: String) throws(TranscriptError) {
        let writer = try TranscriptWriter(path: path)
        try writer.write(self.text)
        try writer.close()
    }

    private static func read(_ path: String, maxBytes: Int) throws(TranscriptError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw TranscriptError.system("cannot be opened", path: path) }
        defer { _ = close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 256 << 10)
        while true {
            let count = chunk.withUnsafeMutableBytes { readBytes(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw TranscriptError.system("cannot be read", path: path) }
            if count == 0 { return bytes }
            guard bytes.count + count <= maxBytes else {
                throw TranscriptError(
                    file: path,
                    line: 0,
                    reason: "has more than \(maxBytes) bytes; raise maxBytes to read it"
                )
            }
            bytes += chunk[..<count]
        }
    }
}

extension TranscriptError {
    /// The system's reason for what could not be done, from `errno`.
    static func system(_ what: String, path: String) -> Self {
        Self(file: path, line: 0, reason: "\(what): \(String(cString: strerror(errno)))")
    }
}

/// `read(2)` by another name: inside `Transcript` its own `read` hides it.
private func readBytes(_ descriptor: CInt, _ buffer: UnsafeMutableRawPointer?, _ count: Int) -> Int {
    read(descriptor, buffer, count)
}
