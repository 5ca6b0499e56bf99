/// How the text of an option or argument becomes a value, and what is said where it does not.
struct ValueType<Value: Sendable>: Sendable {
    /// What is wanted, to follow "takes": `a whole number of at least 1`.
    let expectation: String
    /// Whether an error may show the text; not where it can hold credentials.
    var isShown = true
    /// nil for a text that is no such value.
    let parse: @Sendable (String) -> Value?
}

extension ValueType<String> {
    /// Any text that is not empty.
    static let text = ValueType(expectation: "a text that is not empty") { $0.isEmpty ? nil : $0 }

    /// A path of a file.
    static let file = ValueType(expectation: "the path of a file") { $0.isEmpty ? nil : $0 }

    /// A node's address: `ws://`, `wss://`, or a path of a Unix socket (also `@name` and `ipc:PATH`). Only its shape
    /// is looked at; the library says more. It may hold credentials and is never shown.
    static let nodeURL = ValueType(
        expectation: "a node's address such as ws://127.0.0.1:8546 or /run/geth.ipc",
        isShown: false
    ) { text in
        let isPlain = text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F }
        let schemes = ["ws://", "wss://", "http://", "https://"]
        let rest = schemes.first { text.lowercased().hasPrefix($0) }.map { text.dropFirst($0.count) }
        if let rest { return isPlain && !rest.isEmpty ? text : nil }
        let isPath = ["/", "./", "../", "@", "ipc:", "~/"].contains { text.hasPrefix($0) && text != $0 }
        return isPath ? text : nil
    }
}

extension ValueType<Int> {
    /// A whole number of at least `bounds.lowerBound`.
    static func int(_ bounds: PartialRangeFrom<Int>) -> Self {
        Self(expectation: "a whole number of at least \(bounds.lowerBound)") { text in
            Self.wholeNumber(text).flatMap { bounds ~= $0 ? $0 : nil }
        }
    }

    /// A whole number within bounds.
    static func int(_ bounds: ClosedRange<Int>) -> Self {
        Self(expectation: "a whole number from \(bounds.lowerBound) to \(bounds.upperBound)") { text in
            Self.wholeNumber(text).flatMap { bounds ~= $0 ? $0 : nil }
        }
    }

    /// A count of bytes: `4096`, `64KiB`, `16MiB`, `1GiB`, `1MB`.
    static let bytes = Self(expectation: "a count of bytes such as 65536, 64KiB or 16MiB") { text in
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let units = [
            "": 1, "B": 1, "KB": 1000, "kB": 1000, "MB": 1_000_000, "GB": 1_000_000_000,
            "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
        ]
        guard let count = Int(digits), let unit = units[String(text.dropFirst(digits.count))] else { return nil }
        let (bytes, overflow) = count.multipliedReportingOverflow(by: unit)
        return overflow ? nil : bytes
    }

    /// `Int(_:)` accepts `+1`; people do not mean that here.
    private static func wholeNumber(_ text: String) -> Int? { text.hasPrefix("+") ? nil : Int(text) }
}

extension ValueType<Duration> {
    /// A stretch of time greater than zero: `500ms`, `10s`, `1.5s`, `2m`, `1h`, `1d`.
    static let duration = Self(expectation: "a duration such as 500ms, 10s, 2m or 1h") { text in
        let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let units: [String: Int64] = ["ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000]
        let parts = number.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let unit = units[String(text.dropFirst(number.count))], let whole = parts.first.flatMap({ Int64($0) })
        else {
            return nil
        }
        let (milliseconds, overflow) = whole.multipliedReportingOverflow(by: unit)
        // A century is more than any run takes, and far from where arithmetic overflows.
        guard !overflow, milliseconds <= 100 * 366 * 86_400_000 else { return nil }
        var duration = Duration.milliseconds(milliseconds)
        if parts.count == 2 {
            guard let fraction = Int64(parts[1]), (1...9).contains(parts[1].count) else { return nil }
            var scale: Int64 = 1
            for _ in 0..<parts[1].count { scale *= 10 }
            duration += .milliseconds(unit) * fraction / scale
        }
        return duration > .zero ? duration : nil
    }
}

extension ValueType {
    /// One of a few words.
    static func choice(_ choices: [(word: String, value: Value)]) -> Self {
        let words = choices.map(\.word)
        let list =
            words.count > 1
            ? words.dropLast().joined(separator: ", ") + " or " + (words.last ?? "") : words.joined()
        return Self(expectation: list) { text in choices.first { $0.word == text }?.value }
    }
}
