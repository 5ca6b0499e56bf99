import HeadstreamRPC

/// Calls `body` with the bytes of `text`, 64 more behind them, as the processor wants its messages.
func withPadded<Result>(_ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    let padded = bytes + Array(repeating: UInt8(ascii: "}"), count: 64)
    return try padded.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[..<bytes.count])) }
}

func withPadded<Result>(_ text: String, _ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    try withPadded(Array(text.utf8), body)
}

func text(_ bytes: UnsafeRawBufferPointer) -> String {
    String(decoding: bytes, as: UTF8.self)
}

extension ResponseBytes {
    var text: String { self.withBytes { String(decoding: $0, as: UTF8.self) } }
}
