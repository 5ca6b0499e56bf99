/// Decides which pings are answered at once, so that a flood of them cannot fill the write queue.
///
/// Each ping is answered while fewer than ``maxWaiting`` pongs wait to be sent; beyond that only the newest is kept,
/// and answered once the others are out. RFC 6455 §5.5.3 allows that: an endpoint may answer the most recent ping
/// only.
package struct PongPolicy: Sendable {
    /// The most pongs that wait to be sent.
    package static let maxWaiting = 16

    private var waiting = 0
    private var held: [UInt8]?

    package init() {}

    /// A ping came. True if its pong is to be written now; otherwise it is kept, and an older kept one forgotten.
    package mutating func receivedPing(_ payload: UnsafeRawBufferPointer) -> Bool {
        if self.waiting < Self.maxWaiting {
            self.waiting += 1
            return true
        }
        self.held = Array(payload)
        return false
    }

    /// Everything written so far has been taken by the system: the channel's queue is empty. Returns the payload of
    /// the pong to write now, if one was held back.
    package mutating func drained() -> [UInt8]? {
        self.waiting = 0
        guard let payload = self.held else { return nil }
        self.held = nil
        self.waiting = 1
        return payload
    }
}
