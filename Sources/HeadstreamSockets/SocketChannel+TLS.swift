internal import Glibc

// TLS between the socket and the delegate. One `recv` into the loop's ciphertext buffer, all of it decrypted into the
// buffer that is delivered, so nothing stays behind with OpenSSL but a record that has not come whole; and what OpenSSL
// wants sent goes out at once or waits in `ChannelTLS.unsent`, in its order. It never has a write to repeat.
extension SocketChannel {
    // MARK: Beginning

    package func startTLS(_ client: TLSClient) {
        assert(self.loop.isCurrent)
        guard case .open = self.state, self.tls == nil else { return }
        let tls = ChannelTLS(.waiting(client), name: client.name)
        self.begin(tls)
        guard self.isDelivering || self.tail.count == 0 else { return self.failForInjectedBytes(tls) }
        if let context = self.loop.tlsContexts.ready(for: client.settings) {
            return self.use(.success(context), for: client)
        }
        self.loop.tlsContexts.make(for: client.settings) { result in
            self.loop.execute { self.use(result, for: client) }
        }
    }

    /// The server's side, on a channel that was just accepted.
    func startTLS(as server: TLSServer) {
        guard case .open = self.state, self.tls == nil else { return }
        do throws(SocketError) {
            let engine = try TLSEngine(server, peerName: self.remoteName, self.loop.tlsStream)
            self.begin(ChannelTLS(.handshaking(engine), name: self.remoteName))
        } catch {
            self.begin(ChannelTLS(.failed, name: self.remoteName))
            self.loop.execute { self.end(.failed(error)) }
        }
    }

    private func begin(_ tls: ChannelTLS) {
        // What was written before TLS goes out as it is, in front of the rest.
        if let output = self.output {
            tls.keepUnsent(output.bytes)
            self.releaseOutput()
        }
        self.tls = tls
        self.flushAtTurnEnd()
    }

    private func use(_ result: Result<TLSContext, SocketError>, for client: TLSClient) {
        guard case .open = self.state, let tls = self.tls, tls.isWaitingForContext else { return }
        do throws(SocketError) {
            tls.phase = .handshaking(try TLSEngine(client, try result.get(), self.loop.tlsStream))
            // The hello is sent from there, as far as this turn's share of handshakes reaches.
            self.readInNextTurn()
            self.flushAtTurnEnd()
        } catch {
            tls.phase = .failed
            self.loop.execute { self.end(.failed(error)) }
        }
    }

    /// Bytes that came before TLS began would pass for protected ones: nobody honest sends them.
    func failForInjectedBytes(_ tls: ChannelTLS) {
        tls.phase = .failed
        let message = "\(self.remoteName) sent bytes before TLS began, which must not be taken for protected ones"
        self.loop.execute { self.end(.failed(.tls(.injected, message))) }
    }

    // MARK: Reading

    /// Reads, decrypts and delivers, until the socket is empty or has had its share of the turn.
    func read(_ tls: ChannelTLS, untilEmpty: Bool) {
        var budget = EventLoop.bytesPerTurn
        var base = self.loop.readBuffer
        var capacity = EventLoop.readBufferSize
        var filled = self.tail.count
        if filled >= Self.largeTail, let own = self.tail.base {
            (base, capacity) = (own, self.tail.capacity)
        } else if let own = self.tail.base {
            base.copyMemory(from: own, byteCount: filled)
        }
        if self.tailAwaitsReading {
            self.tailAwaitsReading = false
            guard filled > 0, self.deliver(&base, &capacity, &filled) else { return self.keepTail(base, filled) }
        }
        if let end = tls.end { return self.end(end) }
        let stream = self.loop.tlsStream
        while budget > 0, let engine = tls.engine {
            if !tls.isSecured {
                guard self.loop.takeHandshakeStep() else {
                    self.readInNextTurn()
                    break
                }
                // The client speaks first; nothing has been received for this call.
                if engine.client != nil, !tls.hasBegun {
                    tls.hasBegun = true
                    var nothing = UnsafeRawBufferPointer(start: nil, count: 0)
                    guard self.shakeHands(tls, engine, &nothing) else { return }
                }
            }
            if base == self.tail.base {
                guard filled < Self.tailLimit else { return self.endForTail() }
                self.tail.count = filled
                self.tail.reserve(EventLoop.readBufferSize / 4)
                guard let own = self.tail.base else { return }
                (base, capacity) = (own, self.tail.capacity)
            }
            let wanted = min(capacity - filled - TLSStream.recordRoom, TLSStream.receiveSize)
            let count = self.receive(into: stream.receiveBuffer, count: wanted)
            if count < 0 {
                let code = errno
                if code == EINTR { continue }
                self.keepTail(base, filled)
                if code != EAGAIN {
                    self.end(.failed(self.brokenOff(tls, errno: code)))
                } else if let failure = self.writeFailure {
                    self.end(.failed(tls.isSecured ? failure : self.brokenOff(tls, errno: failure.errno)))
                }
                return
            }
            if count == 0 {
                // What the delegate wrote in this turn, an answer to the peer's farewell say, still goes out.
                if !self.isBlocked { self.transmit() }
                if case .closed = self.state { return }
                if !tls.isSecured { return self.end(.failed(self.brokenOff(tls, errno: 0))) }
                return self.end(self.writeFailure.map { .failed($0) } ?? .endOfStream)
            }
            self.loop.counters.bytesRead += count
            budget -= count
            var input = UnsafeRawBufferPointer(start: stream.receiveBuffer, count: count)
            if !tls.isSecured {
                if !tls.hasReceived, let failure = self.unlikeTLS(input, engine) {
                    tls.phase = .failed
                    return self.end(.failed(failure))
                }
                tls.hasReceived = true
                guard self.shakeHands(tls, engine, &input) else { return }
            }
            if tls.isSecured {
                let plaintext = engine.read(input, into: base + filled, capacity: capacity - filled)
                self.sendCiphertext(tls, stream)
                filled += plaintext.count
                tls.end = plaintext.end
                if plaintext.count > 0 {
                    if !self.isReading {
                        self.tailAwaitsReading = true
                        return self.keepTail(base, filled)
                    }
                    guard self.deliver(&base, &capacity, &filled) else { return self.keepTail(base, filled) }
                }
                if let end = plaintext.end {
                    if !self.isBlocked { self.transmit() }
                    if case .closed = self.state { return }
                    return self.end(end)
                }
                guard self.isReading else { return self.keepTail(base, filled) }
            }
            if count < wanted, !untilEmpty { break }
        }
        self.keepTail(base, filled)
        if self.writeFailure != nil { self.readInNextTurn() }
    }

    /// Takes the handshake on. Returns whether the channel goes on reading in this call.
    private func shakeHands(_ tls: ChannelTLS, _ engine: TLSEngine, _ input: inout UnsafeRawBufferPointer) -> Bool {
        let step = engine.handshake(&input)
        // Also the alert that tells the peer why it failed.
        self.sendCiphertext(tls, engine.stream)
        switch step {
        case .needMore:
            return true
        case .secured:
            tls.phase = .secured(engine)
            self.flushAtTurnEnd()
            self.delegate?.channelSecured(self)
            if case .open = self.state { return true }
            return false
        case .failed(let failure):
            tls.phase = .failed
            self.end(.failed(failure))
            return false
        }
    }

    /// What the first bytes say of a peer that does not speak TLS: a record of the handshake begins with 22, an alert
    /// with 21 (RFC 8446 §5.1). OpenSSL's own word for all of it is "wrong version number".
    private func unlikeTLS(_ input: UnsafeRawBufferPointer, _ engine: TLSEngine) -> SocketError? {
        guard let first = input.first, first != 22, first != 21 else { return nil }
        let http = Array("HTTP/".utf8)
        if engine.client == nil {
            return .tls(.notTLS, "\(engine.name) does not speak TLS, which is what this port is for")
        }
        if input.prefix(http.count).elementsEqual(http.prefix(min(http.count, input.count))) {
            return .tls(
                .plainHTTP,
                "\(engine.name) answers in plain HTTP: no TLS on this port; use ws:// instead of wss://"
            )
        }
        let digits = Array("0123456789abcdef")
        let shown = input.prefix(8).map { "\(digits[Int($0 >> 4)])\(digits[Int($0 & 15)])" }.joined(separator: " ")
        return .tls(.notTLS, "\(engine.name) does not speak TLS on this port (it answered with the bytes \(shown))")
    }

    /// The connection ended or broke: in the handshake that is a failure of TLS, later one of the connection.
    private func brokenOff(_ tls: ChannelTLS, errno code: Int32) -> SocketError {
        if tls.isSecured { return self.writeFailure ?? .broken(self.remoteName, errno: code) }
        let how = code == 0 ? "ended" : code == ECONNRESET || code == EPIPE ? "reset" : "broke"
        let doubt = tls.hasReceived ? "" : "; does it speak TLS on this port?"
        return .tls(.cut, "\(tls.name) \(how) the connection in the TLS handshake\(doubt)", errno: code)
    }

    // MARK: Writing

    /// Sends what OpenSSL left, or keeps it in order.
    private func sendCiphertext(_ tls: ChannelTLS, _ stream: TLSStream) {
        let output = stream.output
        guard !output.isEmpty else { return }
        defer { stream.removeOutput() }
        guard self.writeFailure == nil else { return }
        var sent = 0
        if tls.unsentCount == 0, !self.isBlocked { sent = self.send(output) }
        guard sent < output.count, self.writeFailure == nil else { return }
        tls.keepUnsent(UnsafeRawBufferPointer(rebasing: output[sent...]))
        // What waits for room is told to epoll at the turn's end.
        self.flushAtTurnEnd()
    }

    /// Sends as much as the system takes and returns how much that was; less means blocked, or failed.
    private func send(_ bytes: UnsafeRawBufferPointer) -> Int {
        while true {
            self.loop.counters.writes += 1
            let count = Glibc.send(self.descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
            if count >= 0 {
                self.loop.counters.bytesWritten += count
                if count < bytes.count { self.isBlocked = true }
                return count
            }
            let code = errno
            if code == EINTR { continue }
            if code == EAGAIN { self.isBlocked = true } else { self.writingFailed(code) }
            return 0
        }
    }

    /// Sends what waits, then encrypts and sends more, until nothing is left or the system takes no more; then
    /// half-closes if that was asked for.
    func transmit(_ tls: ChannelTLS) {
        let stream = self.loop.tlsStream
        while self.writeFailure == nil {
            if let unsent = tls.unsent {
                unsent.consume(self.send(unsent.bytes))
                if self.isBlocked || self.writeFailure != nil { return }
                tls.dropUnsent()
            }
            guard case .secured(let engine) = tls.phase, !engine.hasFailed else { return }
            if let output = self.output, output.count > 0 {
                let share = UnsafeRawBufferPointer(rebasing: output.bytes.prefix(EventLoop.readBufferSize))
                guard let count = engine.write(share) else { return self.writingFailed(EIO) }
                self.sendCiphertext(tls, stream)
                // Nothing while the other side has to say something first; reading goes on here then.
                if count == 0 { return }
                output.consume(count)
                continue
            }
            self.releaseOutput()
            guard self.isFinishing, !self.hasFinished else { return }
            if !tls.hasSaidFarewell {
                tls.hasSaidFarewell = true
                engine.finish()
                self.sendCiphertext(tls, stream)
                continue
            }
            self.hasFinished = true
            shutdown(self.descriptor, Int32(SHUT_WR))
            return
        }
    }

    /// The channel closes: the peer is told, if that is possible without waiting, and OpenSSL lets go of it.
    func endTLS() {
        guard let tls = self.tls else { return }
        if case .secured(let engine) = tls.phase, !tls.hasSaidFarewell, self.queuedBytes == 0, !self.isBlocked,
            self.writeFailure == nil, self.descriptor >= 0
        {
            engine.finish()
            let output = engine.stream.output
            _ = Glibc.send(self.descriptor, output.baseAddress, output.count, Int32(MSG_NOSIGNAL))
            engine.stream.removeOutput()
        }
        tls.phase = .failed
        tls.dropUnsent()
    }
}
