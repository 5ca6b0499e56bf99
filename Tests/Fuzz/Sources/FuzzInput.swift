/// The bytes of one run: some decide what is done, the rest is what it is done with.
struct FuzzInput {
    private(set) var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) {
        self.rest = bytes[...]
    }

    var isEmpty: Bool { self.rest.isEmpty }

    /// The next byte; 0 at the end.
    mutating func byte() -> Int { Int(self.rest.popFirst() ?? 0) }

    mutating func take(_ count: Int) -> [UInt8] {
        let taken = Array(self.rest.prefix(count))
        self.rest = self.rest.dropFirst(count)
        return taken
    }

    var bytes: [UInt8] { Array(self.rest) }
}

extension [UInt8] {
    /// Calls `body` with the bytes alone in their memory but for 64 others behind them, as parsers are promised.
    func withSlack<Result>(_ filler: UInt8 = 0x7D, _ body: (UnsafeMutableRawBufferPointer) -> Result) -> Result {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: self.count + 64, alignment: 1)
        defer { buffer.deallocate() }
        buffer.initializeMemory(as: UInt8.self, repeating: filler)
        buffer.copyBytes(from: self)
        return body(UnsafeMutableRawBufferPointer(rebasing: buffer[..<self.count]))
    }
}
