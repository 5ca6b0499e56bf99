import HeadstreamRPC
import HeadstreamSockets
import HeadstreamWebSocket

// From the socket to the processor. The channel calls on the loop, outside any job, hence `assumeIsolated`.
extension Connection: ChannelDelegate {
    nonisolated func channelOpened(_ channel: any Channel) {
        self.assumeIsolated { $0.socketOpened(channel) }
    }

    nonisolated func channel(_ channel: any Channel, received bytes: UnsafeMutableRawBufferPointer) -> Int {
        // The caller is the loop, which waits for this call's end: nobody else has the bytes meanwhile.
        nonisolated(unsafe) let bytes = bytes
        return self.assumeIsolated { $0.received(bytes) }
    }

    nonisolated func channelDrained(_ channel: any Channel) {
        self.assumeIsolated { $0.pongsWentOut() }
    }

    nonisolated func channelEnded(_ channel: any Channel, _ reason: ChannelEnd) {
        self.assumeIsolated { $0.socketEnded(reason) }
    }

    /// Nothing waits to be written any more: a ping that was held back is answered.
    private func pongsWentOut() {
        guard case .open = self.phase, self.channel?.queuedBytes == 0, let payload = self.pongs.drained() else {
            return
        }
        payload.withUnsafeBytes { self.write(.pong, $0) }
    }

    private func received(ping payload: UnsafeRawBufferPointer) {
        if self.pongs.receivedPing(payload) {
            self.write(.pong, payload)
        } else if !self.looksAfterPongs {
            // Once a turn, for a flood of pings, of which one read may bring a hundred thousand; and in the turn after
            // this one, when this one's writes have gone out. If they could not, `channelDrained` says when they have.
            self.looksAfterPongs = true
            self.loop.atTurnEnd {
                self.assumeIsolated { $0.looksAfterPongs = false }
                self.enqueue { $0.pongsWentOut() }
            }
        }
    }

    /// What was read; returns how much of it is done with.
    private func received(_ bytes: UnsafeMutableRawBufferPointer) -> Int {
        var offset = 0
        self.hasHeard = true
        self.pongsWentOut()
        if case .tunnelling(var tunnel, let handshake) = self.phase {
            let action = tunnel.received(UnsafeRawBufferPointer(bytes))
            self.phase = .tunnelling(tunnel, handshake)
            // Nothing follows the proxy's answer: the node does not speak first.
            return self.tunnel(action)
        }
        if case .upgrading(var handshake) = self.phase {
            let action = handshake.received(UnsafeRawBufferPointer(bytes))
            self.phase = .upgrading(handshake)
            offset = self.upgrade(action)
        }
        switch self.phase {
        case .open: self.readMessages(bytes, at: &offset)
        case .closing: self.awaitClose(bytes, at: &offset)
        case .tunnelling, .upgrading: break
        case .idle, .connecting, .securing, .ended: offset = bytes.count
        }
        if self.wakesAtTurnEnd { self.publish() }
        self.metrics.bytesReceived &+= UInt64(offset)
        return offset
    }

    /// Messages go through ``InboundPath`` in one go; control frames come up to here.
    private func readMessages(_ bytes: UnsafeMutableRawBufferPointer, at offset: inout Int) {
        let now = self.loop.now.nanoseconds
        while case .open = self.phase {
            let event = self.inbound.received(bytes, at: &offset, now: now, actions: &self.actions)
            self.perform()
            switch event {
            case .needMore:
                return
            case .ping(let payload):
                self.received(ping: payload)
            case .close(let code, let reason):
                self.follow(self.closing.receivedClose(code: code, reason: reason))
            case .broken(let error):
                self.follow(self.closing.failed(error))
            case .unreadable(let error):
                self.end(Web3Error(.protocolViolation, "\(self.endpoint): \(error.message)"))
            }
        }
        // Ended by what was read: the rest is nobody's.
        offset = bytes.count
    }

    private func awaitClose(_ bytes: UnsafeMutableRawBufferPointer, at offset: inout Int) {
        while case .closing = self.phase {
            switch self.inbound.skipMessages(in: bytes, at: &offset) {
            case .close(let code, let reason): self.follow(self.closing.receivedClose(code: code, reason: reason))
            case .broken(let error): self.follow(self.closing.failed(error))
            case .needMore, .ping, .unreadable: return
            }
        }
        offset = bytes.count
    }

    private func socketEnded(_ reason: ChannelEnd) {
        // Whatever the channel does by itself: nothing is sent any more, and the other side is to know.
        self.channel?.close()
        self.channel = nil
        switch (self.phase, reason) {
        case (.connecting, .failed(let error)), (.securing, .failed(let error)):
            self.end(Web3Error(error, connectingTo: self.endpoint, through: self.proxy))
        case (.tunnelling(var tunnel, _), .endOfStream):
            self.tunnel(tunnel.endOfStream())
        case (.tunnelling(var tunnel, _), .failed(let error)):
            let action = tunnel.endOfStream()
            if case .refused = action {
                self.tunnel(action)
            } else {
                self.end(Web3Error(error, connectingTo: self.endpoint, through: self.proxy))
            }
        case (.upgrading(var handshake), .endOfStream):
            self.upgrade(handshake.endOfStream())
        case (.upgrading(var handshake), .failed(let error)):
            // A server that refuses and does not read on resets the connection behind its answer.
            let action = handshake.endOfStream()
            if case .refused = action {
                self.upgrade(action)
            } else {
                self.end(Web3Error(error, connectingTo: self.endpoint, through: self.proxy))
            }
        case (.open, .failed(let error)):
            var told = Web3Error(.connectionClosed, "\(self.endpoint): \(error.message)")
            told.isEndOfLoop = error.code == .loopIsShutDown
            told.isPermanent = told.isEndOfLoop
            self.end(told)
        case (.open, .endOfStream) where self.endpoint.isIPC, (.closing, _) where self.endpoint.isIPC:
            self.end(Web3Error(.connectionClosed, "\(self.endpoint): the node closed the IPC connection"))
        case (.open, .endOfStream), (.closing, _):
            self.follow(self.closing.endOfStream())
        case (.idle, _), (.connecting, .endOfStream), (.securing, .endOfStream), (.ended, _):
            self.end(Web3Error(.cannotConnect, "\(self.endpoint): the connection ended at once"))
        }
    }
}
