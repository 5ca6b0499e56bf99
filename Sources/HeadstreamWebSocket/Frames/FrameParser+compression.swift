// Compressed messages (RFC 7692 §6.2). They are inflated as their bytes come, so a message's output is bounded by the
// limit at any moment, whatever was announced.
extension FrameParser {
    /// The most bytes a compressed message may have: what does not compress grows by 5 bytes in 16 KiB and some more, and
    /// a message of empty blocks alone must end too.
    private var maxCompressedSize: Int {
        let (size, overflow) = self.maxMessageSize.addingReportingOverflow(self.maxMessageSize / 1024 + 1024)
        return overflow ? .max : size
    }

    /// Reads the header of a frame with reserved bits: the first frame of a compressed message, or an offence. Returns
    /// nil if the frame is now being inflated.
    @inline(never)
    mutating func beginCompressed(
        _ start: UnsafeMutableRawPointer,
        available: Int,
        at offset: inout Int
    ) -> Event? {
        let first = start.load(as: UInt8.self)
        let second = start.load(fromByteOffset: 1, as: UInt8.self)
        // RSV1 alone, on a data frame that begins a message (§6.1).
        let opcode = first & 0x0F
        guard self.inflater != nil, first & Self.reservedBits == 0x40, opcode & 0x08 == 0,
            opcode != Opcode.continuation.rawValue
        else { return self.fail(.reservedBits(first & Self.reservedBits)) }
        let isMasked = second & 0x80 != 0
        guard isMasked == (self.role == .server) else { return self.fail(isMasked ? .maskForbidden : .maskMissing) }
        guard let kind = MessageKind(rawValue: opcode) else { return self.fail(.reservedOpcode(opcode)) }
        guard self.openMessage == nil else { return self.fail(.unfinishedMessage) }

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
        guard length <= self.maxCompressedSize else {
            return self.fail(.messageTooBig(size: UInt64(length), limit: self.maxMessageSize))
        }
        var mask: UInt32?
        if isMasked {
            guard available >= headerSize + 4 else { return .needMore }
            mask = start.loadUnaligned(fromByteOffset: headerSize, as: UInt32.self)
            headerSize += 4
        }
        offset += headerSize
        guard case .ok? = self.inflater?.begin() else { return self.fail(.corruptCompression) }
        self.openMessage = kind
        self.text = UTF8Validator()
        self.isCompressed = true
        self.compressedBytes = 0
        self.beginPayload(length, isFinal: first & 0x80 != 0, mask: mask)
        return nil
    }

    /// Whether a further frame of `length` bytes may belong to the open message because that is compressed.
    @inline(never)
    mutating func mayInflate(_ length: Int) -> Bool {
        self.isCompressed && length <= self.maxCompressedSize
    }

    /// Inflates what is there of a frame. Returns nil if another frame of the message follows.
    mutating func inflate(from bytes: UnsafeMutableRawBufferPointer, at offset: inout Int) -> Event? {
        let taken = min(self.frameRemaining, bytes.count - offset)
        let start = self.assembly.count
        if taken > 0 {
            let piece = UnsafeMutableRawBufferPointer(rebasing: bytes[offset..<offset + taken])
            if let mask = self.frameMask { ByteKernels.applyMask(mask, to: piece, offset: self.maskOffset) }
            offset += taken
            self.frameRemaining -= taken
            self.maskOffset = (self.maskOffset + taken) & 3
            self.compressedBytes += taken
            guard self.compressedBytes <= self.maxCompressedSize else {
                return self.fail(.messageTooBig(size: UInt64(self.compressedBytes), limit: self.maxMessageSize))
            }
            if let failure = self.check(
                self.inflater?.inflate(UnsafeRawBufferPointer(piece), into: &self.assembly, limit: self.maxMessageSize)
            ) {
                return failure
            }
        }
        let isWhole = self.frameRemaining == 0 && self.frameIsFinal
        if isWhole, let failure = self.check(self.inflater?.finish(into: &self.assembly, limit: self.maxMessageSize)) {
            return failure
        }
        if self.openMessage == .text, !self.text.consume(self.assembly.contents(from: start)) {
            return self.fail(.invalidUTF8)
        }
        return self.frameRemaining == 0 ? self.endPayload() : .needMore
    }

    private mutating func check(_ outcome: Inflater.Outcome?) -> Event? {
        switch outcome {
        case .ok: nil
        case .tooBig: self.fail(.inflatedTooBig(limit: self.maxMessageSize))
        case .corrupt, nil: self.fail(.corruptCompression)
        }
    }
}
