import Headstream
import HeadstreamSockets
import HeadstreamWebSocket

/// One client's connection to a ``Recorder`` and the connection to the node that belongs to it, on the recorder's loop.
///
/// This file has its beginning and its end; `RecordedConnection+messages.swift` carries messages across.
actor RecordedConnection: ChannelDelegate {
    enum Phase {
        /// Until the client's upgrade request is whole.
        case requesting(ServerHandshake)
        /// Until the recorder lets it in; an IPC client has no request.
        case waiting(UpgradeRequest?)
        /// Until the socket stands, at the node or at a proxy in front of it.
        case connecting(UpgradeRequest?, Dialling)
        /// Until the proxy has opened the tunnel.
        case tunnelling(UpgradeRequest?, ProxyTunnel, Dialling)
        /// With `wss`, until the TLS handshake with the node is done.
        case securing(UpgradeRequest?, ClientHandshake)
        /// Until the node's 101.
        case upgrading(UpgradeRequest?, ClientHandshake)
        case open
        /// One end has said goodbye, and both are awaited.
        case closing
        /// The client was answered with an error; its end is awaited.
        case refused
        case ended
    }

    enum Side {
        case client, node
    }

    nonisolated let loop: any Loop
    let server: RecorderServer
    var phase: Phase
    let client: MessagePipe
    let node: MessagePipe
    /// How the node's connection ended is in the recording, or is not to be.
    var isNodeEndKnown = false
    var isCheckQueued = false
    private var deadline: DeadlineID?

    nonisolated var unownedExecutor: UnownedSerialExecutor { self.loop.asUnownedSerialExecutor() }

    init(server: RecorderServer, channel: any Channel, isIPC: Bool) {
        self.server = server
        self.loop = server.loop
        let limit = server.configuration.maxMessageSize
        self.client = MessagePipe(isIPC ? .ipc : .webSocket(.server), maxMessageSize: limit, loop: server.loop)
        self.client.attach(channel)
        let nodeIsIPC = if case .ipc = server.endpoint.target { true } else { false }
        self.node = MessagePipe(nodeIsIPC ? .ipc : .webSocket(.client), maxMessageSize: limit, loop: server.loop)
        self.phase = isIPC ? .waiting(nil) : .requesting(ServerHandshake())
    }

    /// Whether the next client may wait for this one's end.
    var isEnding: Bool {
        switch self.phase {
        case .closing, .refused, .ended: true
        case .requesting, .waiting, .connecting, .tunnelling, .securing, .upgrading, .open: false
        }
    }

    // MARK: The channels

    nonisolated func channelOpened(_ channel: any Channel) {
        self.assumeIsolated { $0.nodeOpened(channel) }
    }

    nonisolated func channelSecured(_ channel: any Channel) {
        self.assumeIsolated { $0.nodeSecured(channel) }
    }

    nonisolated func channel(_ channel: any Channel, received bytes: UnsafeMutableRawBufferPointer) -> Int {
        // The caller is the loop, which waits for this call's end: nobody else has the bytes meanwhile.
        nonisolated(unsafe) let bytes = bytes
        return self.assumeIsolated { $0.received(bytes, from: $0.side(of: channel)) }
    }

    nonisolated func channelDrained(_ channel: any Channel) {
        self.assumeIsolated { $0.readOn() }
    }

    nonisolated func channelEnded(_ channel: any Channel, _ reason: ChannelEnd) {
        self.assumeIsolated { $0.ended($0.side(of: channel), reason) }
    }

    private func side(of channel: any Channel) -> Side {
        self.client.channel === channel ? .client : .node
    }

    func pipe(_ side: Side) -> MessagePipe {
        side == .client ? self.client : self.node
    }

    private func received(_ bytes: UnsafeMutableRawBufferPointer, from side: Side) -> Int {
        var offset = 0
        switch (self.phase, side) {
        case (.requesting(var handshake), .client):
            switch handshake.received(UnsafeRawBufferPointer(bytes)) {
            case .needMore:
                self.phase = .requesting(handshake)
            case .refused(let response, _):
                self.refuse(response)
                offset = bytes.count
            case .accepted(let request, let consumed):
                offset = consumed
                self.wait(with: request)
            }
        case (.tunnelling(let request, var tunnel, let dialling), .node):
            let action = tunnel.received(UnsafeRawBufferPointer(bytes))
            self.phase = .tunnelling(request, tunnel, dialling)
            offset = self.tunnel(action)
        case (.upgrading(let request, var handshake), .node):
            let action = handshake.received(UnsafeRawBufferPointer(bytes))
            self.phase = .upgrading(request, handshake)
            offset = self.upgrade(action)
            if case .open = self.phase { self.read(bytes, at: &offset, from: .node) }
        case (.open, _), (.closing, _):
            self.read(bytes, at: &offset, from: side)
        case (.refused, _), (.ended, _):
            offset = bytes.count
        default:
            break
        }
        return offset
    }

    // MARK: Beginning

    /// The client's socket stands.
    func accepted() {
        if self.client.isIPC {
            self.wait(with: nil)
        } else {
            self.setDeadline(self.server.configuration.connectTimeout) { $0.end() }
        }
    }

    private func wait(with request: UpgradeRequest?) {
        self.clearDeadline()
        self.phase = .waiting(request)
        // What the client says before the node is there stays in its socket.
        self.client.channel?.isReading = false
        self.server.assumeIsolated { $0.wantsIn(self) }
    }

    /// The client is let in: connects to the node.
    func connect() {
        guard case .waiting(let request) = self.phase else { return }
        let configuration = self.server.configuration
        let dialling: Dialling
        do throws(HandshakeError) {
            dialling = try self.server.endpoint.dialling(with: configuration) { self.loop.fillRandom($0) }
        } catch {
            return self.unreachable(error.message)
        }
        self.phase = .connecting(request, dialling)
        self.setDeadline(configuration.connectTimeout) { $0.connectTimedOut() }
        self.node.attach(self.loop.connect(to: dialling.address, delegate: self))
    }

    private func nodeOpened(_ channel: any Channel) {
        guard case .connecting(let request, let dialling) = self.phase else { return }
        if let tunnel = dialling.tunnel {
            self.phase = .tunnelling(request, tunnel, dialling)
            tunnel.request.withUnsafeBytes { channel.write($0) }
        } else {
            self.reachedNode(channel, request, dialling)
        }
    }

    private func tunnel(_ action: ProxyTunnel.Action) -> Int {
        guard case .tunnelling(let request, _, let dialling) = self.phase else { return 0 }
        let name = dialling.proxyName ?? ""
        switch action {
        case .needMore: break
        case .established(let consumed):
            if let channel = self.node.channel { self.reachedNode(channel, request, dialling) }
            return consumed
        case .refused(let refusal): self.unreachable("the proxy \(name) answered \(refusal.message)")
        case .failed(let error): self.unreachable("the proxy \(name): \(error.message)")
        }
        return 0
    }

    /// From here on the bytes are the node's, whatever stands in between.
    private func reachedNode(_ channel: any Channel, _ request: UpgradeRequest?, _ dialling: Dialling) {
        guard let handshake = dialling.handshake else { return self.established(request) }
        self.phase = .securing(request, handshake)
        guard let client = self.server.endpoint.tlsClient(with: self.server.configuration) else {
            return self.nodeSecured(channel)
        }
        channel.startTLS(client)
    }

    private func nodeSecured(_ channel: any Channel) {
        guard case .securing(let request, let handshake) = self.phase else { return }
        self.phase = .upgrading(request, handshake)
        handshake.request.withUnsafeBytes { channel.write($0) }
    }

    private func upgrade(_ action: ClientHandshake.Action) -> Int {
        guard case .upgrading(let request, _) = self.phase else { return 0 }
        switch action {
        case .needMore: break
        case .accepted(let consumed):
            self.established(request)
            return consumed
        case .refused(let refusal): self.unreachable("the node answered \(refusal.message)", refusal)
        case .failed(let error): self.unreachable(error.message)
        }
        return 0
    }

    private func established(_ request: UpgradeRequest?) {
        self.clearDeadline()
        guard self.record(.open) else { return self.end() }
        self.phase = .open
        request?.acceptance.withUnsafeBytes { self.client.channel?.write($0) }
        self.client.channel?.isReading = true
    }

    private func connectTimedOut() {
        if case .upgrading(let request, var handshake) = self.phase {
            let action = handshake.deadlineReached()
            self.phase = .upgrading(request, handshake)
            _ = self.upgrade(action)
        } else if case .tunnelling(let request, var tunnel, let dialling) = self.phase {
            let action = tunnel.deadlineReached()
            self.phase = .tunnelling(request, tunnel, dialling)
            _ = self.tunnel(action)
        } else {
            self.unreachable("no connection within \(self.server.configuration.connectTimeout)")
        }
    }

    /// There is no connection to the node: the client is told why, with the node's own status where it gave one.
    private func unreachable(_ reason: String, _ refusal: UpgradeRefusal? = nil) {
        self.isNodeEndKnown = true
        let reason = self.server.secrets.redacting(reason)
        guard self.record(.error("\(self.server.endpoint): \(reason)")) else { return }
        // A redirection would lead past the recorder.
        guard let refusal, 400...599 ~= refusal.status else {
            return self.refuse(502, "Bad Gateway", reason)
        }
        self.refuse(refusal.status, refusal.reason, reason, retryAfter: refusal.retryAfter)
    }

    // MARK: Ending

    func refuse(_ status: Int, _ phrase: String, _ reason: String, retryAfter: String? = nil) {
        self.refuse(
            ServerHandshake.errorResponse(
                status: status,
                reason: phrase,
                headers: [("Content-Type", "text/plain; charset=utf-8")]
                    + (retryAfter.map { [("Retry-After", $0)] } ?? []),
                body: "headstream recorder: \(reason)\n"
            )
        )
    }

    /// Answers the client's request, and waits for it to read that. On IPC nothing can be answered.
    private func refuse(_ response: [UInt8]) {
        if case .ended = self.phase { return }
        self.node.end()
        self.phase = .refused
        if self.client.isIPC { return self.end() }
        response.withUnsafeBytes { self.client.channel?.write($0) }
        self.client.finishWriting()
        self.client.channel?.isReading = true
        self.setDeadline(self.server.configuration.closeTimeout) { $0.end() }
        self.server.assumeIsolated { $0.release(self) }
    }

    /// The recorder ends.
    func shutDown(_ code: UInt16, _ reason: String) {
        switch self.phase {
        case .open:
            // Not the node's act: the recording just stops.
            self.isNodeEndKnown = true
            self.client.close(code: code, reason: reason)
            self.node.close(code: 1001, reason: "")
            self.awaitEnds()
        case .waiting:
            self.refuse(503, "Service Unavailable", reason)
        case .requesting, .connecting, .tunnelling, .securing, .upgrading:
            self.end()
        case .closing, .refused, .ended:
            break
        }
    }

    /// One end has said goodbye. Both sides are read, so that their ends are seen, and given a time.
    func awaitEnds() {
        guard case .open = self.phase else { return }
        self.phase = .closing
        self.client.channel?.isReading = true
        self.node.channel?.isReading = true
        self.setDeadline(self.server.configuration.closeTimeout) { $0.end() }
    }

    private func ended(_ side: Side, _ reason: ChannelEnd) {
        self.pipe(side).end()
        switch (self.phase, side) {
        case (.connecting, .node), (.tunnelling, .node), (.securing, .node), (.upgrading, .node):
            self.nodeEndedEarly(reason)
        case (.open, .node):
            self.isNodeEndKnown = true
            guard self.record(.drop) else { break }
            self.client.finishWriting()
            self.awaitEnds()
        case (.open, .client):
            let how = self.client.isIPC ? "" : " without a close frame"
            guard self.record(.remark("the client ended the connection\(how)")) else { break }
            self.node.finishWriting()
            self.awaitEnds()
        case (.closing, .node):
            if !self.isNodeEndKnown {
                self.isNodeEndKnown = true
                _ = self.record(.drop)
            }
        case (.closing, .client), (.ended, _), (_, .node):
            break
        case (_, .client):
            return self.end()
        }
        if case .closing = self.phase, self.client.channel == nil, self.node.channel == nil { self.end() }
    }

    private func nodeEndedEarly(_ reason: ChannelEnd) {
        switch (self.phase, reason) {
        case (.upgrading(let request, var handshake), .endOfStream):
            let action = handshake.endOfStream()
            self.phase = .upgrading(request, handshake)
            _ = self.upgrade(action)
        case (.tunnelling(let request, var tunnel, let dialling), .endOfStream):
            let action = tunnel.endOfStream()
            self.phase = .tunnelling(request, tunnel, dialling)
            _ = self.tunnel(action)
        case (_, .failed(let error)): self.unreachable(error.message)
        case (_, .endOfStream): self.unreachable("the connection ended at once")
        }
    }

    /// It is over, in whatever phase it was.
    func end() {
        if case .ended = self.phase { return }
        if case .closing = self.phase, !self.isNodeEndKnown {
            // The node did not answer the client's goodbye in time.
            self.isNodeEndKnown = true
            _ = self.record(.drop)
        }
        self.phase = .ended
        self.clearDeadline()
        self.client.end()
        self.node.end()
        self.server.assumeIsolated { $0.connectionEnded(self) }
    }

    /// Writes an event down. Where that fails, the recorder ends this connection a turn later.
    func record(_ event: Transcript.Event) -> Bool {
        self.server.assumeIsolated { $0.record(event) }
    }

    // MARK: Deadlines

    private func setDeadline(_ duration: Duration, _ body: @escaping @Sendable (isolated RecordedConnection) -> Void) {
        self.clearDeadline()
        self.deadline = self.loop.schedule(at: self.loop.now.advanced(by: duration)) { [weak self] in
            self?.assumeIsolated { body($0) }
        }
    }

    private func clearDeadline() {
        if let deadline = self.deadline { self.loop.cancel(deadline) }
        self.deadline = nil
    }
}
