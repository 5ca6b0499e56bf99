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
    /// A string was cut off by a newline: the message ends there.
    private var isBroken = false
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
        let end = bytes.count
        while place < end {
            if self.isInString {
                place = self.scanString(base, from: place, to: end)
                guard self.isBroken else { continue }
                self.isBroken = false
                self.depth = 0
                offset = place
                return self.finish(UnsafeRawBufferPointer(start: base + start, count: place - start))
            }
            let byte = base.load(fromByteOffset: place, as: UInt8.self)
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
    private mutating func scanString(_ base: UnsafeRawPointer, from: Int, to end: Int) -> Int {
        var place = from
        if self.isEscaped, place < end {
            self.isEscaped = false
            place += 1
        }
        while place < end {
            place += hs_find_special(base + place, end - place)
            guard place < end else { return end }
            switch base.load(fromByteOffset: place, as: UInt8.self) {
            case 0x22:
                self.isInString = false
                return place + 1
            case 0x5C:
                guard place + 1 < end else {
                    self.isEscaped = true
                    return end
                }
                place += 2
            case 0x0A:
                // No string holds a newline (RFC 8259 §7): what a node left unfinished ends here, and the next
                // message is found again. Whoever reads this one tells that it is malformed.
                self.isInString = false
                self.isBroken = true
                return place
            default:
                place += 1
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
        self.kept.pad()
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
                """
                message of at least \(size) bytes exceeds maxMessageSize \(self.maxMessageSize); \
                raise Configuration.maxMessageSize
                """
            )
        )
    }
}
