extension Transcript {
    /// The text form. What was parsed comes out byte for byte, save for line ends, empty lines and how times are spaced.
    public var text: [UInt8] {
        var bytes: [UInt8] = []
        for entry in self.entries { entry.append(to: &bytes) }
        return bytes
    }
}

extension Transcript.Entry {
    /// Appends the entry's line or, for a message with a time, its two lines.
    func append(to bytes: inout [UInt8]) {
        var prefix = ""
        if let time = self.time {
            prefix = "// @" + time.transcriptText
        }
        switch self.event {
        case .fromClient(let message), .fromNode(let message):
            if !prefix.isEmpty {
                bytes += prefix.utf8
                bytes.append(UInt8(ascii: "\n"))
            }
            if case .fromClient = self.event { bytes += ">>".utf8 } else { bytes += "<<".utf8 }
            if Self.isOneLine(message) {
                bytes.append(UInt8(ascii: " "))
                bytes += message
            } else {
                bytes += "base64 ".utf8
                Base64.encode(message, to: &bytes)
            }
        case .open: bytes += (Self.prefix(prefix) + "open").utf8
        case .drop: bytes += (Self.prefix(prefix) + "drop").utf8
        case .close(let code, let reason):
            bytes += (Self.prefix(prefix) + "close \(code)").utf8
            if !reason.isEmpty { bytes += (" " + Self.oneLine(reason)).utf8 }
        case .error(let text):
            bytes += (Self.prefix(prefix) + "error").utf8
            if !text.isEmpty { bytes += (" " + Self.oneLine(text)).utf8 }
        case .remark(let text): bytes += ("//" + Self.oneLine(text)).utf8
        }
        bytes.append(UInt8(ascii: "\n"))
    }

    /// Events need a time to be told from remarks; without one of their own they stand at the start.
    private static func prefix(_ time: String) -> String {
        (time.isEmpty ? "// @0.000" : time) + " "
    }

    /// Whether a message can stand on a line: UTF-8 without a line end.
    private static func isOneLine(_ message: [UInt8]) -> Bool {
        !message.contains { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }
            && String(validating: message, as: UTF8.self) != nil
    }

    /// Close reasons and errors come from the other side and may hold anything: line ends become spaces.
    private static func oneLine(_ text: String) -> String {
        guard text.utf8.contains(where: { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }) else { return text }
        var clean = String.UnicodeScalarView()
        for scalar in text.unicodeScalars { clean.append(scalar == "\n" || scalar == "\r" ? " " : scalar) }
        return String(clean)
    }
}

extension Duration {
    /// Seconds with three decimals, or with as many of nine as it needs.
    var transcriptText: String {
        let (seconds, attoseconds) = self.components
        var digits = String(attoseconds.magnitude / 1_000_000_000)
        digits = String(repeating: "0", count: max(0, 9 - digits.utf8.count)) + digits
        while digits.utf8.count > 3, digits.utf8.last == UInt8(ascii: "0") { digits.removeLast() }
        return "\(seconds).\(digits)"
    }

    /// Reads `12`, `12.5` or `12.000000001`; nil for anything else, also for more seconds than a century has.
    init?(transcriptSeconds bytes: some Collection<UInt8>) {
        var seconds: Int64 = 0
        var nanoseconds: Int64 = 0
        var decimals: Int?
        var digits = 0
        for byte in bytes {
            if byte == UInt8(ascii: "."), decimals == nil, digits > 0 {
                decimals = 0
                continue
            }
            guard UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte else { return nil }
            let digit = Int64(byte - UInt8(ascii: "0"))
            if let count = decimals {
                guard count < 9 else { return nil }
                nanoseconds = nanoseconds * 10 + digit
                decimals = count + 1
            } else {
                seconds = seconds * 10 + digit
                guard seconds <= 3_155_760_000 else { return nil }
                digits += 1
            }
        }
        guard digits > 0, decimals != 0 else { return nil }
        for _ in 0..<(9 - (decimals ?? 0)) where nanoseconds > 0 { nanoseconds *= 10 }
        self = .seconds(seconds) + .nanoseconds(nanoseconds)
    }
}
