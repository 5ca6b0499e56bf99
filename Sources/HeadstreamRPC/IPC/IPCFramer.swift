import CHeadstreamBytes

/// Cuts the byte stream of an IPC connection into JSON messages.
///
/// Nodes write one JSON text after another, with or without newlines between them, so a message ends where its
/// outermost bracket closes; brackets within strings do not count. Every byte is looked at once, however the stream is
/// cut: what is known of an unfinished message is kept, not scanned again.
package struct IPCFramer: ~Copyable {
    /// What the next step through the bytes found.
    package enum Step {
        /// A whole message; valid until the next call.
        case message(UnsafeRawBufferPointer)
        /// Everything was taken; more bytes are needed.
        case needMore
        /// The stream cannot be followed any more.
        case failed(RPCError)
    }

    package let maxMessageSize: Int
    /// The part of a message that earlier reads brought, with padding behind it.
    private var kept = PaddedBytes()
    private var depth = 0
    private var isInString = false
    private var isEscaped = false
    private var hasFailed = false
    /// `kept` was handed out as a message and can go.
    private var isSpent = false

    /// - Parameter maxMessageSize: bytes; a longer message ends the connection with an error that names the limit.
    package init(maxMessageSize: Int) {
        self.maxMessageSize = maxMessageSize
    }

    /// Bytes held of an unfinished message.
    package var keptCount: Int { self.isSpent ? 0 : self.kept.count }

    /// Finds the next message in `bytes` from `offset` on. It always takes what it looks at: call it until it needs more.
    package mutating func next(in bytes: UnsafeRawBufferPointer, at offset: inout Int) -> Step {
        if self.isSpent {
            self.isSpent = false
            self.kept.removeAll(keeping: 1 << 18)
        }
        guard !self.hasFailed, let base = bytes.baseAddress else {
            offset = bytes.count
            return .needMore
        }
        var start = offset
        var place = offset
        if self.depth == 0 {
            while place < bytes.count, Self.isBlank(bytes[place]) { place += 1 }
            start = place
            guard place < bytes.count else {
                offset = place
                return .needMore
            }
            guard bytes[place] == 0x7B || bytes[place] == 0x5B else {
                self.hasFailed = true
                offset = bytes.count
                return .failed(
                    RPCError(.malformedResponse, "the node sent bytes on the IPC connection that begin no JSON message")
                )
            }
        }
        while place < bytes.count {
            if self.isInString {
                place = self.scanString(bytes, from: place)
                continue
            }
            let byte = bytes[place]
            place += 1
            switch byte {
            case 0x22: self.isInString = true
            case 0x7B, 0x5B: self.depth += 1
            case 0x7D, 0x5D:
                self.depth -= 1
                if self.depth == 0 {
                    offset = place
                    return self.finish(UnsafeRawBufferPointer(start: base + start, count: place - start))
                }
            default: break
            }
        }
        offset = place
        return self.keep(UnsafeRawBufferPointer(start: base + start, count: place - start)) ?? .needMore
    }

    /// Scans within a string; returns where it stopped: behind the string, or at the end.
    private mutating func scanString(_ bytes: UnsafeRawBufferPointer, from: Int) -> Int {
        var place = from
        while place < bytes.count {
            let byte = bytes[place]
            place += 1
            if self.isEscaped {
                self.isEscaped = false
            } else if byte == 0x5C {
                self.isEscaped = true
            } else if byte == 0x22 {
                self.isInString = false
                return place
            }
        }
        return place
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
    }

    private mutating func finish(_ piece: UnsafeRawBufferPointer) -> Step {
        if self.kept.count == 0 {
            return piece.count > self.maxMessageSize ? self.tooLarge(piece.count) : .message(piece)
        }
        if let failure = self.keep(piece) { return failure }
        self.isSpent = true
        return .message(self.kept.bytes)
    }

    private mutating func keep(_ piece: UnsafeRawBufferPointer) -> Step? {
        let size = self.kept.count + piece.count
        if size > self.maxMessageSize { return self.tooLarge(size) }
        self.kept.append(piece)
        return nil
    }

    private mutating func tooLarge(_ size: Int) -> Step {
        self.hasFailed = true
        self.kept.removeAll(keeping: 0)
        return .failed(
            RPCError(
                .malformedResponse,
                "message of at least \(size) bytes exceeds maxMessageSize \(self.maxMessageSize); raise Configuration.maxMessageSize"
            )
        )
    }
}
