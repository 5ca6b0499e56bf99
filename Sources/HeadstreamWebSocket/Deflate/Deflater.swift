internal import CHeadstreamZlib

/// Compresses the messages of one direction of a connection (RFC 7692 §7.2.1).
///
/// Its memory, some 260 KB with the largest window, is made with the first message.
package struct Deflater: ~Copyable {
    private let agreement: DeflateAgreement
    /// On the heap: zlib's state points back at it, so it must not move.
    private var stream: UnsafeMutablePointer<z_stream>?

    package init(_ agreement: DeflateAgreement) {
        self.agreement = agreement
    }

    deinit {
        guard let stream = self.stream else { return }
        deflateEnd(stream)
        stream.deinitialize(count: 1)
        stream.deallocate()
    }

    /// Writes the compressed `message` to `output`, in place of what is there.
    ///
    /// - Returns: false if the message is to be sent as it is: it would not get smaller and no later message depends
    ///   on it, or there was no memory. Then nothing has to be told to the peer.
    package mutating func compress(_ message: UnsafeRawBufferPointer, to output: inout [UInt8]) -> Bool {
        output.removeAll(keepingCapacity: output.capacity <= 1 << 18)
        guard message.count < 1 << 30, let base = message.baseAddress, !message.isEmpty else { return false }
        guard let stream = self.begin() else { return false }
        stream.pointee.next_in = UnsafeMutablePointer(mutating: base.assumingMemoryBound(to: UInt8.self))
        stream.pointee.avail_in = UInt32(truncatingIfNeeded: message.count)
        let isSound = self.flush(stream, expecting: message.count, to: &output)
        stream.pointee.next_in = nil
        stream.pointee.next_out = nil
        // A sync flush ends with an empty stored block, of which the length fields are cut off.
        guard isSound, output.count >= 4, output.suffix(4).elementsEqual([0x00, 0x00, 0xFF, 0xFF]) else {
            self.end()
            return false
        }
        output.removeLast(4)
        return self.agreement.sendsWithTakeover || output.count < message.count
    }

    /// Gives the memory back; the next message begins a new window, which every peer understands.
    private mutating func end() {
        guard let stream = self.stream else { return }
        deflateEnd(stream)
        stream.deinitialize(count: 1)
        stream.deallocate()
        self.stream = nil
    }

    private mutating func begin() -> UnsafeMutablePointer<z_stream>? {
        if let stream = self.stream {
            guard self.agreement.sendsWithTakeover || deflateReset(stream) == Z_OK else { return nil }
            return stream
        }
        let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        stream.initialize(to: z_stream())
        // zlib makes no raw stream with a window of 2^8. With 2^9 it refers back 250 bytes at most, so that is one.
        let bits = Int32(max(9, self.agreement.sendWindowBits))
        guard hs_deflate_init(stream, Z_DEFAULT_COMPRESSION, -bits, 8) == Z_OK else {
            stream.deinitialize(count: 1)
            stream.deallocate()
            return nil
        }
        self.stream = stream
        return stream
    }

    private func flush(_ stream: UnsafeMutablePointer<z_stream>, expecting size: Int, to output: inout [UInt8]) -> Bool
    {
        var chunk = size / 2 + 64
        var isSound = true
        repeat {
            let start = output.count
            output.append(contentsOf: repeatElement(0, count: chunk))
            let left = output.withUnsafeMutableBytes { bytes -> Int in
                stream.pointee.next_out = bytes.baseAddress.map { ($0 + start).assumingMemoryBound(to: UInt8.self) }
                stream.pointee.avail_out = UInt32(truncatingIfNeeded: bytes.count - start)
                let status = deflate(stream, Z_SYNC_FLUSH)
                isSound = status == Z_OK || status == Z_BUF_ERROR
                return Int(stream.pointee.avail_out)
            }
            output.removeLast(left)
            // Only room left over says that all is out.
            if left > 0 || !isSound { break }
            chunk = output.count
        } while true
        return isSound && stream.pointee.avail_in == 0
    }
}
