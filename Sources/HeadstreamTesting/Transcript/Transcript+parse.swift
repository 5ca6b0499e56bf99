extension Transcript {
    /// Reads the text form. Lines may end in LF or CRLF, the last one in nothing; empty lines are skipped.
    ///
    /// Throws a ``TranscriptError`` that names file and line for a line that is none of the known forms, an unknown
    /// event, a time that goes back, or broken base64.
    public init(parsing text: String, name: String = "transcript") throws(TranscriptError) {
        try self.init(parsing: Array(text.utf8), name: name)
    }

    /// Reads the text form from bytes; see ``init(parsing:name:)-(String,_)``.
    ///
    /// - Parameter droppingCutLine: the writer may have been ended in the middle of a line: what follows the last line
    ///   end is left out.
    public init(
        parsing bytes: [UInt8],
        name: String = "transcript",
        droppingCutLine: Bool = false
    ) throws(TranscriptError) {
        var parser = TranscriptParser(name: name)
        var rest = bytes[...]
        if droppingCutLine { rest = rest[..<((rest.lastIndex(of: UInt8(ascii: "\n")) ?? -1) + 1)] }
        while !rest.isEmpty {
            let end = rest.firstIndex(of: UInt8(ascii: "\n")) ?? rest.endIndex
            try parser.read(line: rest[rest.startIndex..<end])
            rest = rest[min(end + 1, rest.endIndex)...]
        }
        self.init(name: name, entries: parser.entries)
    }
}

/// Reads lines, and carries the time that a line of its own gave to what follows.
private struct TranscriptParser {
    private let name: String
    private(set) var entries: [Transcript.Entry] = []
    private var line = 0
    private var pendingTime: Duration?
    private var lastTime = Duration.zero

    init(name: String) {
        self.name = name
    }

    mutating func read(line bytes: ArraySlice<UInt8>) throws(TranscriptError) {
        self.line += 1
        var bytes = bytes
        if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
        if self.line == 1, bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes = bytes.dropFirst(3) }
        if bytes.isEmpty { return }

        if bytes.starts(with: ">>".utf8) {
            self.append(.fromClient(try self.message(bytes.dropFirst(2))))
        } else if bytes.starts(with: "<<".utf8) {
            self.append(.fromNode(try self.message(bytes.dropFirst(2))))
        } else if bytes.starts(with: "//".utf8) {
            try self.readRemark(bytes.dropFirst(2))
        } else {
            throw self.failure(
                "a line begins with >> , << or //, not with \"\(Transcript.excerpt(of: bytes, limit: 24))\""
            )
        }
    }

    private mutating func append(_ event: Transcript.Event) {
        self.entries.append(.init(event, at: self.pendingTime, line: self.line))
        self.pendingTime = nil
    }

    /// What follows the arrows: a space and the message, or `base64 ` and its text; nothing is an empty message.
    private func message(_ bytes: ArraySlice<UInt8>) throws(TranscriptError) -> [UInt8] {
        if bytes.isEmpty { return [] }
        if bytes.first == UInt8(ascii: " ") { return Array(bytes.dropFirst()) }
        let marker = Array("base64".utf8)
        guard bytes.starts(with: marker) else {
            throw self.failure("an arrow is followed by a space or by base64 and a space")
        }
        let text = bytes.dropFirst(marker.count)
        guard text.isEmpty || text.first == UInt8(ascii: " ") else {
            throw self.failure("base64 is followed by a space")
        }
        guard let message = Base64.decode(text.dropFirst()) else {
            throw self.failure("the message is not base64 (RFC 4648 §4, with padding)")
        }
        return message
    }

    private mutating func readRemark(_ bytes: ArraySlice<UInt8>) throws(TranscriptError) {
        // It would be written as a space, and a remark with one could come back as an event.
        guard !bytes.contains(UInt8(ascii: "\r")) else { throw self.failure("a carriage return within a line") }
        let trimmed = bytes.drop { $0 == UInt8(ascii: " ") }
        // `@` and a digit, or what a mistyped time begins with; `// @alice: …` stays a remark.
        guard trimmed.first == UInt8(ascii: "@"), let second = trimmed.dropFirst().first,
            UInt8(ascii: "0")...UInt8(ascii: "9") ~= second || "+-.".utf8.contains(second)
        else {
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw self.failure("a remark is UTF-8")
            }
            self.entries.append(.init(.remark(text), line: self.line))
            return
        }
        let rest = trimmed.dropFirst()
        let end = rest.firstIndex(of: UInt8(ascii: " ")) ?? rest.endIndex
        guard let time = Duration(transcriptSeconds: rest[..<end]) else {
            throw self.failure(
                "\"@\(Transcript.excerpt(of: rest[..<end], limit: 32))\" is not a time: seconds with at most 9 decimals"
            )
        }
        guard time >= self.lastTime else {
            throw self.failure("the time goes back from \(self.lastTime.transcriptText) to \(time.transcriptText)")
        }
        self.lastTime = time
        self.pendingTime = time
        let event = rest[end...].drop { $0 == UInt8(ascii: " ") }
        if !event.isEmpty { self.append(try self.event(event)) }
    }

    private func event(_ bytes: ArraySlice<UInt8>) throws(TranscriptError) -> Transcript.Event {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw self.failure("an event is UTF-8") }
        let parts = text.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
        let word = parts.first.map(String.init) ?? ""
        let argument = parts.count > 1 ? String(parts[1]) : nil
        switch (word, argument) {
        case ("open", nil): return .open
        case ("drop", nil): return .drop
        case ("open", .some), ("drop", .some): throw self.failure("nothing follows \(word)")
        case ("error", _): return .error(argument ?? "")
        case ("close", nil): return .close(code: 1005, reason: "")
        case ("close", .some(let argument)): return try self.close(argument)
        default:
            throw self.failure(
                "unknown event \"\(Transcript.excerpt(of: word.utf8))\"; known are open, close, drop and error"
            )
        }
    }

    private func close(_ argument: String) throws(TranscriptError) -> Transcript.Event {
        let parts = argument.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
        guard let word = parts.first, word.utf8.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }),
            let code = UInt16(word), 1000...4999 ~= code
        else { throw self.failure("close is followed by a code from 1000 to 4999 (RFC 6455 §7.4) and a reason") }
        let reason = parts.count > 1 ? String(parts[1]) : ""
        guard reason.utf8.count <= 123 else {
            throw self.failure("the close reason has \(reason.utf8.count) bytes; RFC 6455 §5.5 allows 123")
        }
        return .close(code: code, reason: reason)
    }

    private func failure(_ reason: String) -> TranscriptError {
        TranscriptError(file: self.name, line: self.line, reason: reason)
    }
}
