/// Splits the bytes of one direction of a connection into messages and control frames (RFC 6455 §5), in place.
///
/// A message that lies in one frame, wholly in the buffer, is handed out as a pointer into that buffer: no copy, no
/// allocation. What comes in pieces, be it a frame that is not all there or a fragmented message, is gathered in a
/// buffer of the parser's own, so that the bytes it leaves unconsumed are never more than a frame's header and a
/// control frame's body (139 bytes), and every byte is copied a constant number of times.
///
/// One frame's rules are decided as soon as its first bytes are there, text is checked as it arrives, and a message
/// over the limit fails when its length is announced. After a failure or a close frame everything else is discarded
/// unparsed.
package struct FrameParser: ~Copyable {
    /// What the next bytes were.
    ///
    /// The pointers are valid until the next call of the parser, and no longer than the buffer that was parsed. Those
    /// of a message are followed by at least 64 initialised bytes if those of the buffer are.
    package enum Event {
        /// Nothing whole is left; hand over what was not consumed, in front of the next bytes.
        case needMore
        /// A whole message. Text is UTF-8.
        case message(UnsafeRawBufferPointer, MessageKind)
        /// A ping with up to 125 bytes, to be answered with a pong with the same bytes.
        case ping(UnsafeRawBufferPointer)
        /// A pong with up to 125 bytes.
        case pong(UnsafeRawBufferPointer)
        /// The peer's close frame: its code, nil if it had none, and its reason, UTF-8 of up to 123 bytes. The last
        /// event.
        case close(UInt16?, UnsafeRawBufferPointer)
        /// The peer broke a rule. The last event.
        case failed(WebSocketError)
    }

    private enum Phase {
        /// A frame begins.
        case header
        /// Inside a data frame that is being gathered.
        case payload
        /// Inside a frame of a compressed message.
        case inflating
        /// The gathered message was handed out and can be forgotten now.
        case delivered
        /// After a close frame or a failure.
        case discarding
    }

    /// The limit of a message where none is given: 32 MiB, as much as geth sends.
    package static let defaultMaxMessageSize = 32 * 1024 * 1024

    /// RSV1 to RSV3; none of them means anything without an extension.
    static let reservedBits: UInt8 = 0x70

    let role: WebSocketRole
    let maxMessageSize: Int
    private var phase = Phase.header
    /// The kind of the fragmented message between its first frame and its last.
    var openMessage: MessageKind?
    /// Of the frame being gathered: the bytes still to come, its FIN bit, its mask, and the place in the mask (modulo 4)
    /// of the next byte.
    var frameRemaining = 0
    var frameIsFinal = false
    var frameMask: UInt32?
    var maskOffset = 0
    var text = UTF8Validator()
    var assembly = AssemblyBuffer()
    /// Where permessage-deflate was agreed on.
    var inflater: Inflater?
    /// The open message is compressed, and has had so many compressed bytes.
    var isCompressed = false
    var compressedBytes = 0

    /// - Parameters:
    ///   - role: which end this is; the peer is the other.
    ///   - maxMessageSize: the limit of a message's payload, all fragments together, in bytes.
    package init(role: WebSocketRole, maxMessageSize: Int = Self.defaultMaxMessageSize) {
        self.role = role
        self.maxMessageSize = max(0, maxMessageSize)
    }

    /// Messages may be compressed from here on: permessage-deflate was agreed on in the opening handshake.
    package mutating func agreed(on agreement: DeflateAgreement) {
        self.inflater = Inflater(agreement)
    }

    /// Whether a close frame or a failure ended the parsing; all further bytes are discarded.
    package var isDiscarding: Bool { self.phase == .discarding }

    /// The bytes that are held of a message in pieces.
    package var bufferedBytes: Int { self.assembly.count }

    /// The memory that is held for messages in pieces, in bytes; 16 KiB at most between messages.
    package var bufferCapacity: Int { self.assembly.capacity }

    /// Takes one event from `bytes`, beginning at `offset`, and moves `offset` behind what it used.
    ///
    /// Call it until it says ``Event/needMore``: then the memory of a large message has been given back too. The
    /// bytes are unmasked in place.
    package mutating func next(in bytes: UnsafeMutableRawBufferPointer, at offset: inout Int) -> Event {
        while true {
            switch self.phase {
            case .header:
                if let event = self.beginFrame(in: bytes, at: &offset) { return event }
            case .payload:
                if let event = self.gather(from: bytes, at: &offset) { return event }
            case .inflating:
                if let event = self.inflate(from: bytes, at: &offset) { return event }
            case .delivered:
                self.assembly.clear()
                self.phase = .header
            case .discarding:
                offset = max(offset, bytes.count)
                return .needMore
            }
        }
    }

    /// The next message where it is what a node's notifications are: one whole frame of 126 to 65,535 bytes of ASCII, unmasked.
    ///
    /// Nil is for everything else, and changes nothing: ``next(in:at:)`` then tells what it is. Both give the same; this one
    /// takes a third of the time.
    @inline(__always)
    package func nextPlainText(
        in bytes: UnsafeMutableRawBufferPointer,
        at offset: inout Int
    ) -> UnsafeRawBufferPointer? {
        guard self.phase == .header, self.openMessage == nil, self.role == .client else { return nil }
        let available = bytes.count &- offset
        guard available >= 4, let base = bytes.baseAddress else { return nil }
        let start = base + offset
        // FIN and text, unmasked and a length of 16 bits.
        guard UInt16(bigEndian: start.loadUnaligned(as: UInt16.self)) == 0x817E else { return nil }
        let length = Int(UInt16(bigEndian: start.loadUnaligned(fromByteOffset: 2, as: UInt16.self)))
        guard length > 125, length <= available &- 4, length <= self.maxMessageSize else { return nil }
        let message = UnsafeRawBufferPointer(start: start + 4, count: length)
        guard ByteKernels.isASCII(message) else { return nil }
        offset &+= 4 &+ length
        return message
    }

    /// Reads a frame's header. Returns nil if the frame is now being gathered.
    @inline(__always)
    private mutating func beginFrame(in bytes: UnsafeMutableRawBufferPointer, at offset: inout Int) -> Event? {
        let available = bytes.count - offset
        guard available >= 2, let base = bytes.baseAddress else { return .needMore }
        let start = base + offset
        let first = start.load(as: UInt8.self)
        let second = start.load(fromByteOffset: 1, as: UInt8.self)

        // What a compressed message needs is kept off the path of those that are not.
        guard first & Self.reservedBits == 0 else {
            return self.beginCompressed(start, available: available, at: &offset)
        }
        let isMasked = second & 0x80 != 0
        guard isMasked == (self.role == .server) else { return self.fail(isMasked ? .maskForbidden : .maskMissing) }
        if first & 0x08 != 0 {
            return self.controlFrame(start, available: available, at: &offset)
        }

        let isFinal = first & 0x80 != 0
        let opcode = first & 0x0F
        switch opcode {
        case Opcode.text.rawValue, Opcode.binary.rawValue:
            guard self.openMessage == nil else { return self.fail(.unfinishedMessage) }
        case Opcode.continuation.rawValue:
            guard self.openMessage != nil else { return self.fail(.unexpectedContinuation) }
        default:
            return self.fail(.reservedOpcode(opcode))
        }

        var headerSize = 2
        var length = Int(second & 0x7F)
        if length == 126 {
            guard available >= 4 else { return .needMore }
            headerSize = 4
            length = Int(UInt16(bigEndian: start.loadUnaligned(fromByteOffset: 2, as: UInt16.self)))
            guard length > 125 else { return self.fail(.lengthNotMinimal(UInt64(length))) }
        } else if length == 127 {
            guard available >= 10 else { return .needMore }
            headerSize = 10
            let wide = UInt64(bigEndian: start.loadUnaligned(fromByteOffset: 2, as: UInt64.self))
            guard wide > 0xFFFF else { return self.fail(.lengthNotMinimal(wide)) }
            guard let narrow = Int(exactly: wide) else { return self.fail(.lengthOutOfRange) }
            length = narrow
        }
        // The gathered bytes are within the limit, so the difference cannot overflow.
        guard length <= self.maxMessageSize - self.assembly.count || self.mayInflate(length) else {
            return self.fail(
                .messageTooBig(size: UInt64(length) + UInt64(self.assembly.count), limit: self.maxMessageSize)
            )
        }
        var mask: UInt32?
        if isMasked {
            guard available >= headerSize + 4 else { return .needMore }
            mask = start.loadUnaligned(fromByteOffset: headerSize, as: UInt32.self)
            headerSize += 4
        }

        if isFinal, opcode != Opcode.continuation.rawValue, length <= available - headerSize {
            let payload = UnsafeMutableRawBufferPointer(start: start + headerSize, count: length)
            if let mask { ByteKernels.applyMask(mask, to: payload) }
            let message = UnsafeRawBufferPointer(payload)
            offset += headerSize + length
            guard opcode == Opcode.text.rawValue else { return .message(message, .binary) }
            guard ByteKernels.isUTF8(message) else { return self.fail(.invalidUTF8) }
            return .message(message, .text)
        }

        offset += headerSize
        if opcode != Opcode.continuation.rawValue {
            self.openMessage = opcode == Opcode.text.rawValue ? .text : .binary
            self.text = UTF8Validator()
        }
        self.beginPayload(length, isFinal: isFinal, mask: mask)
        return nil
    }

    /// A frame's payload is gathered from here on.
    mutating func beginPayload(_ length: Int, isFinal: Bool, mask: UInt32?) {
        self.frameRemaining = length
        self.frameIsFinal = isFinal
        self.frameMask = mask
        self.maskOffset = 0
        self.phase = self.isCompressed ? .inflating : .payload
    }

    /// A frame has come to its end.
    ///
    /// - Returns: nil if another frame of the message follows.
    mutating func endPayload() -> Event? {
        guard self.frameIsFinal, let kind = self.openMessage else {
            self.phase = .header
            return nil
        }
        guard self.text.isComplete else { return self.fail(.invalidUTF8) }
        self.openMessage = nil
        self.isCompressed = false
        self.phase = .delivered
        return .message(self.assembly.contents(), kind)
    }

    /// Takes what is there of the frame being gathered. Returns nil if another frame of the message follows.
    private mutating func gather(from bytes: UnsafeMutableRawBufferPointer, at offset: inout Int) -> Event? {
        let taken = min(self.frameRemaining, bytes.count - offset)
        if taken > 0 {
            let piece = self.assembly.append(
                UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + taken]),
                unmaskingWith: self.frameMask,
                keyOffset: self.maskOffset,
                total: self.frameIsFinal ? self.assembly.count + self.frameRemaining : nil
            )
            offset += taken
            self.frameRemaining -= taken
            self.maskOffset = (self.maskOffset + taken) & 3
            if self.openMessage == .text, !self.text.consume(piece) { return self.fail(.invalidUTF8) }
        }
        guard self.frameRemaining == 0 else { return .needMore }
        return self.endPayload()
    }

    /// Reads a control frame, which is at most 139 bytes and so is left in the buffer until it is whole.
    private mutating func controlFrame(
        _ start: UnsafeMutableRawPointer,
        available: Int,
        at offset: inout Int
    ) -> Event {
        let first = start.load(as: UInt8.self)
        let second = start.load(fromByteOffset: 1, as: UInt8.self)
        guard let opcode = Opcode(rawValue: first & 0x0F) else { return self.fail(.reservedOpcode(first & 0x0F)) }
        guard first & 0x80 != 0 else { return self.fail(.controlFrameFragmented) }
        let length = Int(second & 0x7F)
        guard length <= 125 else { return self.fail(.controlFrameTooLong) }
        let isMasked = second & 0x80 != 0
        let headerSize = isMasked ? 6 : 2
        guard available >= headerSize + length else { return .needMore }
        let payload = UnsafeMutableRawBufferPointer(start: start + headerSize, count: length)
        if isMasked {
            ByteKernels.applyMask(start.loadUnaligned(fromByteOffset: 2, as: UInt32.self), to: payload)
        }
        offset += headerSize + length
        let body = UnsafeRawBufferPointer(payload)
        switch opcode {
        case .ping: return .ping(body)
        case .pong: return .pong(body)
        default: return self.closeFrame(body)
        }
    }

    private mutating func closeFrame(_ body: UnsafeRawBufferPointer) -> Event {
        let nothing = UnsafeRawBufferPointer(rebasing: body[body.endIndex...])
        if body.isEmpty {
            self.discard()
            return .close(nil, nothing)
        }
        guard body.count >= 2 else { return self.fail(.closeFrameTooShort) }
        let code = UInt16(bigEndian: body.loadUnaligned(as: UInt16.self))
        guard CloseCode.isAllowedOnWire(code) else { return self.fail(.invalidCloseCode(code)) }
        let reason = UnsafeRawBufferPointer(rebasing: body[2...])
        guard ByteKernels.isUTF8(reason) else { return self.fail(.invalidUTF8) }
        self.discard()
        return .close(code, reason)
    }

    mutating func fail(_ code: WebSocketError.Code) -> Event {
        self.discard()
        return .failed(WebSocketError(code))
    }

    private mutating func discard() {
        self.phase = .discarding
        self.openMessage = nil
        self.inflater = nil
        self.assembly.release()
    }
}
