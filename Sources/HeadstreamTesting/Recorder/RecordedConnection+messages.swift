import HeadstreamSockets
import HeadstreamWebSocket

extension RecordedConnection {
    /// How many bytes may wait for one side before the other is not read any more. One message may go beyond it.
    static let highWater = 256 << 10

    /// Takes what is there of one side's messages: each is written down first, and then passed on.
    func read(_ bytes: UnsafeMutableRawBufferPointer, at offset: inout Int, from side: Side) {
        let pipe = self.pipe(side)
        let other = self.pipe(side == .client ? .node : .client)
        while pipe.channel != nil {
            if case .open = self.phase, other.queuedBytes >= Self.highWater {
                pipe.channel?.isReading = false
                return self.readOnNextTurn()
            }
            switch pipe.next(in: bytes, at: &offset) {
            case .needMore:
                if pipe.holdsPong { self.readOnNextTurn() }
                return
            case .message(let message, let kind):
                self.pass(message, kind, from: side, to: other)
            case .close(let code, let reason):
                self.closed(side, code: code, reason: reason)
            case .failed(let text):
                self.violated(side, text)
            }
        }
        // Ended by what was read: the rest is nobody's.
        offset = bytes.count
    }

    private func pass(
        _ message: UnsafeRawBufferPointer,
        _ kind: MessageKind,
        from side: Side,
        to other: MessagePipe
    ) {
        // After a goodbye there is nobody to pass it on to.
        guard case .open = self.phase else { return }
        let copy = Array(message)
        guard self.record(side == .client ? .fromClient(copy) : .fromNode(copy)) else { return }
        // IPC carries any bytes; a text frame must be UTF-8 (RFC 6455 §8.1).
        let isText = kind == .text && (!self.pipe(side).isIPC || other.isIPC || Self.isUTF8(copy))
        other.send(message, isText ? .text : .binary)
    }

    private static func isUTF8(_ bytes: [UInt8]) -> Bool {
        String(validating: bytes, as: UTF8.self) != nil
    }

    /// Some queue may have room again.
    func readOn() {
        self.client.pongsWentOut()
        self.node.pongsWentOut()
        guard case .open = self.phase else { return }
        if self.node.queuedBytes < Self.highWater { self.client.channel?.isReading = true }
        if self.client.queuedBytes < Self.highWater { self.node.channel?.isReading = true }
    }

    /// What was written goes out at the turn's end. If it cannot, `channelDrained` says when it has.
    private func readOnNextTurn() {
        guard !self.isCheckQueued else { return }
        self.isCheckQueued = true
        self.loop.execute {
            self.assumeIsolated { connection in
                connection.isCheckQueued = false
                connection.readOn()
            }
        }
    }

    // MARK: Goodbyes

    /// A close frame came.
    private func closed(_ side: Side, code: UInt16?, reason: String) {
        switch side {
        case .client:
            guard case .open = self.phase else { return }
            let text = "the client closed the connection" + (code.map { " (code \($0))" } ?? "")
            guard self.record(.remark(reason.isEmpty ? text : text + ": " + reason)) else { return }
            self.node.close(code: code, reason: reason)
        case .node:
            // Also where it answers the client's: that is how the node ended.
            if !self.isNodeEndKnown {
                self.isNodeEndKnown = true
                guard self.record(.close(code: code ?? CloseCode.noStatus, reason: reason)) else { return }
            }
            guard case .open = self.phase else { return }
            self.client.close(code: code, reason: reason)
        }
        self.awaitEnds()
    }

    /// One side broke the rules of WebSocket or IPC, or sent a message over the limit; it knows.
    private func violated(_ side: Side, _ text: String) {
        guard case .open = self.phase else { return }
        switch side {
        case .client:
            guard self.record(.remark("the client broke the protocol: \(text)")) else { return }
            self.node.close(code: CloseCode.goingAway, reason: "")
        case .node:
            self.isNodeEndKnown = true
            guard self.record(.error(text)) else { return }
            // 1014, as 502 in HTTP: who stands between has got a bad answer.
            self.client.close(code: 1014, reason: text)
        }
        self.awaitEnds()
    }
}
