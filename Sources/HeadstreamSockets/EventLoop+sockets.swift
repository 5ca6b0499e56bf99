internal import Glibc

extension EventLoop {
    package func connect(to address: SocketAddress, delegate: any ChannelDelegate) -> any Channel {
        assert(self.isCurrent)
        let channel = SocketChannel(loop: self, connectingTo: address, delegate: delegate)
        if self.isStopping {
            // Told later, as ever.
            self.execute { channel.loopShutsDown() }
        }
        return channel
    }

    package func listen(
        on address: SocketAddress,
        tls: TLSServer?,
        accept: @escaping (any Channel) -> any ChannelDelegate
    ) throws(SocketError) -> any Listener {
        assert(self.isCurrent)
        if self.isStopping { throw self.startError ?? .shutDown }
        return try SocketListener(loop: self, address: address, tls: tls, accept: accept)
    }

    package func fillRandom(_ bytes: UnsafeMutableRawBufferPointer) {
        assert(self.isCurrent)
        self.random.fill(bytes)
    }

    /// Closes a descriptor and lets listeners that lacked one go on.
    func closeDescriptor(_ descriptor: Int32) {
        Glibc.close(descriptor)
        guard !self.pausedListeners.isEmpty else { return }
        let paused = self.pausedListeners
        self.pausedListeners = []
        for listener in paused { listener.resume() }
    }

    /// Whether a step of a TLS handshake may be taken in this turn; else it is the next turn's. A step costs up to a
    /// millisecond, and connections that stand are not to wait for many.
    func takeHandshakeStep() -> Bool {
        guard self.handshakeSteps < Self.handshakeStepsPerTurn else { return false }
        self.handshakeSteps += 1
        return true
    }

    /// Where ciphertext passes; made at the first need.
    var tlsStream: TLSStream {
        if let stream = self.madeTLSStream { return stream }
        let stream = TLSStream()
        self.madeTLSStream = stream
        return stream
    }

    /// Channels that have something to read, or to be told, without epoll's word.
    func readAgain() {
        var channels: [SocketChannel] = []
        swap(&channels, &self.toRead)
        for channel in channels { channel.readAgain() }
    }

    /// The end of a turn: what was written in it goes out.
    func flush() {
        if self.toFlush.isEmpty { return }
        var channels: [SocketChannel] = []
        swap(&channels, &self.toFlush)
        for channel in channels { channel.flush() }
        // The array's storage serves the next turn.
        channels.removeAll(keepingCapacity: true)
        if self.toFlush.isEmpty { swap(&channels, &self.toFlush) }
    }
}
