internal import CHeadstreamOpenSSL

/// Where ciphertext passes between the sockets of one loop and OpenSSL: a buffer that sockets are received into, and
/// the record that the BIO of every engine of the loop reads from and writes to. Made at the loop's first TLS connection.
///
/// Both are empty between two calls into OpenSSL: an engine sets the input for a call and its channel takes the output
/// away behind it, before any delegate is called. So one is enough for all.
final class TLSStream {
    /// Bytes received at once. More than a processor's cache holds makes decryption slower than the calls it saves.
    static let receiveSize = 128 << 10
    /// A record's payload has up to 16 KB, of which an engine may hold all but the end; with its header, padding and
    /// code it fits into this (RFC 8446 §5.2, RFC 5246 §6.2.3).
    static let recordRoom = (16 << 10) + 1024
    /// Memory for output that is not given back.
    private static let keptOutput = 256 << 10

    let pointer: UnsafeMutablePointer<headstream_tls_stream>
    let receiveBuffer: UnsafeMutableRawPointer

    init() {
        self.pointer = .allocate(capacity: 1)
        self.pointer.initialize(to: headstream_tls_stream())
        self.receiveBuffer = .allocate(byteCount: Self.receiveSize, alignment: 64)
    }

    deinit {
        headstream_tls_release_output(self.pointer)
        self.pointer.deallocate()
        self.receiveBuffer.deallocate()
    }

    /// Runs one call into OpenSSL that may read from `input`, and moves `input` behind what was read.
    @inline(__always)
    func call(_ input: inout UnsafeRawBufferPointer, _ body: () -> Int32) -> Int32 {
        self.pointer.pointee.input = input.baseAddress?.assumingMemoryBound(to: UInt8.self)
        self.pointer.pointee.input_count = input.count
        ERR_clear_error()
        let status = body()
        input = UnsafeRawBufferPointer(rebasing: input.suffix(self.pointer.pointee.input_count))
        self.pointer.pointee.input_count = 0
        return status
    }

    /// What OpenSSL wants sent.
    var output: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: self.pointer.pointee.output, count: self.pointer.pointee.output_count)
    }

    func removeOutput() {
        self.pointer.pointee.output_count = 0
        if self.pointer.pointee.output_capacity > Self.keptOutput { headstream_tls_release_output(self.pointer) }
    }
}
