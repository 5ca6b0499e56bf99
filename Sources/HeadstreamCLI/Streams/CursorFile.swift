import Glibc
import Headstream

/// The file of `--resume`: a ``Cursor`` in the form that its `Codable` has, and the stream that it belongs to.
///
/// It is replaced as a whole: a new one is written beside it, brought to the disk and given its name, so that whatever
/// happens the one or the other is there.
struct CursorFile: Sendable, Hashable {
    let path: String
    /// What the cursor is of, so that it is not used for another: `heads`, or `logs` and the filter.
    let stream: String

    private var temporaryPath: String { self.path + ".tmp" }

    /// Nil where there is no such file yet.
    ///
    /// - Throws: ``CursorFileError`` for a file that cannot be read or is none of this stream's.
    func read() throws(CursorFileError) -> Cursor? {
        guard let file = fopen(self.path, "re") else {
            if errno == ENOENT { return nil }
            throw CursorFileError(.noInput, "\(self.path) cannot be opened: \(String(cString: strerror(errno)))")
        }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        // A cursor has some 40 ancestors at most; what is longer is another file.
        while bytes.count < 1 << 20, case let count = fread(&chunk, 1, chunk.count, file), count > 0 {
            bytes += chunk[..<count]
        }
        guard let value = try? JSONValue(parsing: bytes), let block = Self.block(value["block"]) else {
            throw CursorFileError(.badData, "\(self.path) is no cursor")
        }
        if let stream = value["stream"]?.stringValue, stream != self.stream {
            throw CursorFileError(.usage, "\(self.path) is the cursor of another stream: \(stream)")
        }
        let ancestors = (value["ancestors"]?.arrayValue ?? []).map(Self.block)
        guard ancestors.allSatisfy({ $0 != nil }) else {
            throw CursorFileError(.badData, "\(self.path) is no cursor")
        }
        return Cursor(block: block, ancestors: ancestors.compactMap { $0 })
    }

    /// Finds out now whether the file will be writable.
    func check() throws(CursorFileError) {
        let descriptor = open(self.temporaryPath, O_WRONLY | O_CREAT | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else {
            let reason = String(cString: strerror(errno))
            throw CursorFileError(.outputFailed, "\(self.path) could not be kept: \(self.temporaryPath): \(reason)")
        }
        close(descriptor)
        unlink(self.temporaryPath)
    }

    /// Replaces the file.
    ///
    /// - Returns: 0, or `errno`.
    func write(_ cursor: Cursor) -> Int32 {
        let descriptor = open(self.temporaryPath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { return errno }
        var error = Descriptor.write(self.bytes(of: cursor), to: descriptor)
        if error == 0, fsync(descriptor) != 0 { error = errno }
        if close(descriptor) != 0, error == 0 { error = errno }
        if error == 0, rename(self.temporaryPath, self.path) != 0 { error = errno }
        if error != 0 { unlink(self.temporaryPath) }
        return error
    }

    func bytes(of cursor: Cursor) -> [UInt8] {
        let value: JSONValue = [
            "stream": .string(self.stream), "block": Self.value(of: cursor.block),
            "ancestors": .array(cursor.ancestors.map(Self.value)),
        ]
        return Array("\(value)\n".utf8)
    }

    private static func value(of block: BlockRef) -> JSONValue {
        var object: JSONObject = ["number": .number(JSONNumber(block.number)), "hash": .string("\(block.hash)")]
        if let parent = block.parentHash { object["parentHash"] = .string("\(parent)") }
        return .object(object)
    }

    private static func block(_ value: JSONValue?) -> BlockRef? {
        guard let value, let number = value["number"]?.numberValue?.uint64, number < 1 << 62,
            let hash = value["hash"]?.stringValue.flatMap({ try? Hash32($0) })
        else { return nil }
        return BlockRef(
            number: number,
            hash: hash,
            parentHash: value["parentHash"]?.stringValue.flatMap { try? Hash32($0) }
        )
    }
}

/// The file of `--resume` cannot be used.
struct CursorFileError: Error, Hashable, CustomStringConvertible {
    enum Kind: Hashable {
        case noInput
        case badData
        case usage
        case outputFailed
    }

    let kind: Kind
    let description: String

    init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = TerminalText.line(description)
    }
}
