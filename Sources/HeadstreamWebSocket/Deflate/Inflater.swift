internal import CHeadstreamZlib

/// Inflates the messages of one direction of a connection (RFC 7692 §7.2.2).
///
/// A message's output goes into an ``AssemblyBuffer`` that grows with what was produced and is never let past the
/// limit, so a bomb costs the limit at most. Its memory, the window and some 10 KB, is made with the first compressed
/// message.
struct Inflater: ~Copyable {
    enum Outcome {
        case ok
        /// The bytes are no DEFLATE stream, or a message ends in the middle of one.
        case corrupt
        /// The output would exceed the limit.
        case tooBig
    }

    /// What a sender cuts off each message and a receiver appends: the length fields of an empty stored block.
    private static let tail: [UInt8] = [0x00, 0x00, 0xFF, 0xFF]

    private let windowBits: Int32
    private let keepsWindow: Bool
    /// On the heap: zlib's state points back at it, so it must not move.
    private var stream: UnsafeMutablePointer<z_stream>?
    /// The last bytes ended a final block (BFINAL), exactly.
    private var isAtStreamEnd = false

    init(_ agreement: DeflateAgreement) {
        self.windowBits = Int32(agreement.receiveWindowBits)
        self.keepsWindow = agreement.receivesWithTakeover
    }

    deinit {
        guard let stream = self.stream else { return }
        inflateEnd(stream)
        stream.deinitialize(count: 1)
        stream.deallocate()
    }

    /// Begins a message.
    mutating func begin() -> Outcome {
        self.isAtStreamEnd = false
        if let stream = self.stream {
            // What a message before left half done was an error, after which there is none.
            return self.keepsWindow || inflateReset(stream) == Z_OK ? .ok : .corrupt
        }
        let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        stream.initialize(to: z_stream())
        // Negative: raw DEFLATE. A larger window than agreed reads the same streams; 8 is beyond some versions of zlib.
        guard hs_inflate_init(stream, -max(9, self.windowBits)) == Z_OK else {
            stream.deinitialize(count: 1)
            stream.deallocate()
            return .corrupt
        }
        self.stream = stream
        return .ok
    }

    /// Inflates a piece of the message and appends what it comes to.
    mutating func inflate(
        _ piece: UnsafeRawBufferPointer,
        into output: inout AssemblyBuffer,
        limit: Int
    ) -> Outcome {
        guard let stream = self.stream else { return .corrupt }
        guard let base = piece.baseAddress, !piece.isEmpty else { return .ok }
        var rest = piece
        while !rest.isEmpty {
            // zlib counts in 32 bits.
            let count = min(rest.count, 1 << 30)
            let outcome = self.run(stream, base + (piece.count - rest.count), count, &output, limit)
            guard case .ok = outcome else { return outcome }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
        return .ok
    }

    /// Ends the message.
    mutating func finish(into output: inout AssemblyBuffer, limit: Int) -> Outcome {
        // A final block may end the message without the empty block behind it that §7.2.3.4 shows.
        if self.isAtStreamEnd { return .ok }
        guard let stream = self.stream else { return .corrupt }
        let outcome = Self.tail.withUnsafeBytes { self.inflate($0, into: &output, limit: limit) }
        guard case .ok = outcome else { return outcome }
        // Behind a block (128) that was not the last, with no bit left over; else the tail was taken for data.
        return self.isAtStreamEnd || stream.pointee.data_type & 0xFF == 128 ? .ok : .corrupt
    }

    private mutating func run(
        _ stream: UnsafeMutablePointer<z_stream>,
        _ input: UnsafeRawPointer,
        _ count: Int,
        _ output: inout AssemblyBuffer,
        _ limit: Int
    ) -> Outcome {
        stream.pointee.next_in = UnsafeMutablePointer(mutating: input.assumingMemoryBound(to: UInt8.self))
        stream.pointee.avail_in = UInt32(truncatingIfNeeded: count)
        while true {
            let room = output.room(limit: limit)
            let size = min(room.count, 1 << 30)
            stream.pointee.next_out = room.baseAddress?.assumingMemoryBound(to: UInt8.self)
            stream.pointee.avail_out = UInt32(truncatingIfNeeded: size)
            let status = CHeadstreamZlib.inflate(stream, Z_SYNC_FLUSH)
            let left = Int(stream.pointee.avail_out)
            output.commit(size - left)
            guard output.count <= limit else { return .tooBig }
            switch status {
            case Z_OK:
                self.isAtStreamEnd = false
            case Z_STREAM_END:
                // The next block, of this message or a later one, goes on with the same window.
                guard inflateResetKeep(stream) == Z_OK else { return .corrupt }
                self.isAtStreamEnd = true
            case Z_BUF_ERROR:
                // No progress was possible: nothing more is in the input, or in zlib.
                return stream.pointee.avail_in == 0 ? .ok : .corrupt
            default:
                return .corrupt
            }
            // With room left everything was told; without, zlib may hold back more.
            if stream.pointee.avail_in == 0, left > 0 { return .ok }
        }
    }
}
