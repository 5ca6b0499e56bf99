import HeadstreamLocks
import HeadstreamRPC
import HeadstreamSockets
import HeadstreamWebSocket

/// One client's connection to a ``TestNode``, on the node's loop: framing, handshakes, faults, and a ``NodeScript`` that
/// says what the node does.
actor NodeConnection: ChannelDelegate {
    private enum Phase {
        case upgrading(ServerHandshake)
        case open
        case closing
        /// The node is not heard of any more, and hears nothing.
        case frozen
        case ended
    }

    /// How much may wait to be written before the script is asked for more.
    private static let highWater = 256 << 10
    /// The longest message a client may send.
    private static let maxMessageSize = 64 << 20

    nonisolated let loop: any Loop
    private let server: NodeServer
    private let channel: any Channel
    private let isIPC: Bool
    private var phase: Phase
    private var script: any NodeScript
    private var frames = FrameParser(role: .server, maxMessageSize: NodeConnection.maxMessageSize)
    private var framer = IPCFramer(maxMessageSize: NodeConnection.maxMessageSize)
    private var closing = ClosingHandshake(role: .server)
    private var outbound: [UInt8] = []
    private var deflater: Deflater?
    private var compressed: [UInt8] = []
    private var alarm: DeadlineID?
    private var isPumpQueued = false
    /// Whether the script has nothing more to send by itself.
    private(set) var isIdle = true
    /// A message that the next one overtakes.
    private var overtaken: [UInt8]?
    /// Messages that come later, and when.
    private var late: [[UInt8]] = []
    private var lateAlarm: DeadlineID?
    private var closeDeadline: DeadlineID?

    nonisolated var unownedExecutor: UnownedSerialExecutor { self.loop.asUnownedSerialExecutor() }

    init(server: NodeServer, channel: any Channel, isIPC: Bool, script: consuming any NodeScript) {
        self.server = server
        self.loop = server.loop
        self.channel = channel
        self.isIPC = isIPC
        if isIPC { script.opened(now: server.loop.now) }
        self.script = script
        self.phase = isIPC ? .open : .upgrading(ServerHandshake())
    }

    // MARK: The channel

    nonisolated func channelOpened(_ channel: any Channel) {}

    nonisolated func channelSecured(_ channel: any Channel) {}

    nonisolated func channel(_ channel: any Channel, received bytes: UnsafeMutableRawBufferPointer) -> Int {
        // The caller is the loop, which waits for this call's end: nobody else has the bytes meanwhile.
        nonisolated(unsafe) let bytes = bytes
        return self.assumeIsolated { $0.received(bytes) }
    }

    nonisolated func channelDrained(_ channel: any Channel) {
        self.assumeIsolated { $0.pump() }
    }

    nonisolated func channelEnded(_ channel: any Channel, _ reason: ChannelEnd) {
        self.assumeIsolated { $0.end() }
    }

    private func received(_ bytes: UnsafeMutableRawBufferPointer) -> Int {
        if case .frozen = self.phase { return bytes.count }
        var offset = 0
        if case .upgrading(var handshake) = self.phase {
            switch handshake.received(UnsafeRawBufferPointer(bytes)) {
            case .needMore:
                self.phase = .upgrading(handshake)
                return 0
            case .refused(let response, _):
                response.withUnsafeBytes { self.channel.write($0) }
                self.channel.finishWriting()
                self.phase = .closing
                return bytes.count
            case .accepted(let request, let consumed):
                self.accept(request)
                self.phase = .open
                self.script.opened(now: self.loop.now)
                offset = consumed
            }
        }
        if self.isIPC { self.readIPC(bytes, at: &offset) } else { self.readFrames(bytes, at: &offset) }
        self.pump()
        return offset
    }

    private func accept(_ request: UpgradeRequest) {
        guard self.server.options.compresses else {
            return request.acceptance.withUnsafeBytes { self.channel.write($0) }
        }
        let (response, agreement) = request.acceptance(compression: DeflateOptions())
        response.withUnsafeBytes { self.channel.write($0) }
        guard let agreement else { return }
        self.frames.agreed(on: agreement)
        self.deflater = Deflater(agreement)
    }

    private func readFrames(_ bytes: UnsafeMutableRawBufferPointer, at offset: inout Int) {
        while true {
            switch self.frames.next(in: bytes, at: &offset) {
            case .needMore:
                return
            case .message(let message, _):
                if self.closing.isOpen { self.answer(message) }
            case .ping(let payload):
                if self.closing.isOpen, !self.quirks.ignoresPings { self.write(.pong, payload) }
            case .pong:
                continue
            case .close(let code, let reason):
                self.follow(self.closing.receivedClose(code: code, reason: reason))
            case .failed(let error):
                self.follow(self.closing.failed(error))
            }
        }
    }

    private func readIPC(_ bytes: UnsafeMutableRawBufferPointer, at offset: inout Int) {
        while true {
            switch self.framer.next(in: UnsafeRawBufferPointer(bytes), at: &offset) {
            case .needMore: return
            case .message(let message): self.answer(message)
            case .failed:
                self.channel.close()
                self.end()
                return
            }
        }
    }

    // MARK: The script

    private func answer(_ message: UnsafeRawBufferPointer) {
        guard case .open = self.phase else { return }
        let message = WireMessage(Array(message))
        if !self.quirks.isDeaf {
            for answer in self.script.received(message, now: self.loop.now) { self.send(answer) }
        }
        // First the answer, then the count: who waits for the count finds the answer under way.
        self.server.assumeIsolated { $0.received(message) }
    }

    private var quirks: NodeQuirks { self.server.served.quirks.withLock { $0 } }

    /// The chain that the node stands on has changed.
    func told(_ notifications: [ChainNotification]) {
        guard case .open = self.phase else { return }
        self.isIdle = false
        self.script.told(notifications)
        self.pump()
    }

    /// Plays on, as far as the client takes it.
    private func pump() {
        if let alarm = self.alarm {
            self.loop.cancel(alarm)
            self.alarm = nil
        }
        while case .open = self.phase {
            guard self.late.isEmpty else { return }
            guard self.channel.queuedBytes < Self.highWater else { return self.pumpNextTurn() }
            switch self.script.nextAction(now: self.loop.now) {
            case .send(let message):
                self.send(message)
            case .close(let code, let reason):
                self.close(code: code, reason: reason)
            case .drop, .error: self.drop()
            case .wait(let instant):
                self.alarm = self.loop.schedule(at: instant) { [weak self] in
                    self?.assumeIsolated { connection in
                        connection.alarm = nil
                        connection.pump()
                    }
                }
                return
            case .idle:
                self.isIdle = true
                self.server.assumeIsolated { $0.connectionIsIdle() }
                return
            case .finished:
                if self.server.endsStreams {
                    for notice in self.script.endSubscriptions() { self.send(notice) }
                }
                self.server.assumeIsolated { $0.scriptFinished() }
                return
            }
        }
    }

    /// What was written goes out at the turn's end; if it cannot, `channelDrained` goes on.
    private func pumpNextTurn() {
        guard !self.isPumpQueued else { return }
        self.isPumpQueued = true
        self.loop.execute {
            self.assumeIsolated { connection in
                connection.isPumpQueued = false
                if connection.channel.queuedBytes < Self.highWater { connection.pump() }
            }
        }
    }

    // MARK: Faults

    /// Sends a message, unless something goes wrong with it.
    private func send(_ message: [UInt8]) {
        guard case .open = self.phase else { return }
        guard let fault = self.server.assumeIsolated({ $0.faultForMessage() }) else { return self.pass(message) }
        switch fault {
        case .drop: break
        case .duplicate:
            self.pass(message)
            self.pass(message)
        case .reorder:
            if self.overtaken == nil { self.overtaken = message } else { self.pass(message) }
        case .delay(let limit):
            self.delay(by: self.server.assumeIsolated { $0.drawDelay(upTo: limit) })
            self.pass(message)
        case .tear:
            self.tear(message)
        case .cut, .freeze: self.inflict(fault)
        case .strayError, .endSubscriptions, .forgetSubscriptions, .refuse:
            self.pass(message)
            self.inflict(fault)
        }
    }

    /// Something goes wrong now, with no message.
    func inflict(_ fault: Fault) {
        guard case .open = self.phase else { return }
        switch fault {
        case .cut: self.breakOff()
        case .freeze:
            self.phase = .frozen
            self.script.closed()
            // Nothing is on its way any more.
            self.isIdle = true
            self.server.assumeIsolated { $0.connectionIsIdle() }
        case .strayError:
            self.pass(Array(#"{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"internal error"}}"#.utf8))
        case .endSubscriptions:
            for notice in self.script.endSubscriptions() { self.pass(notice) }
        case .forgetSubscriptions: _ = self.script.endSubscriptions()
        case .tear, .delay, .drop, .duplicate, .reorder, .refuse: break
        }
    }

    /// A message takes its place behind those that come later, and in front of the one that it overtakes.
    private func pass(_ message: [UInt8]) {
        guard case .open = self.phase else { return }
        for message in [message, self.overtaken] {
            guard let message else { continue }
            if self.late.isEmpty, self.lateAlarm == nil { self.write(message) } else { self.late.append(message) }
        }
        self.overtaken = nil
    }

    private func delay(by delay: Duration) {
        guard self.lateAlarm == nil else { return }
        self.lateAlarm = self.loop.schedule(at: self.loop.now.advanced(by: delay)) { [weak self] in
            self?.assumeIsolated { connection in
                connection.lateAlarm = nil
                let late = connection.late
                connection.late = []
                guard case .open = connection.phase else { return }
                for message in late { connection.write(message) }
                connection.pump()
            }
        }
    }

    /// The connection ends within the message.
    private func tear(_ message: [UInt8]) {
        message.withUnsafeBytes { self.frame(.text, $0) }
        let length = self.outbound.count
        let count = self.server.assumeIsolated { $0.tearing(length) }
        self.outbound.withUnsafeBytes { self.channel.write(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        self.breakOff()
    }

    /// The stream ends behind what was written, without a closing handshake.
    private func breakOff() {
        self.phase = .closing
        self.script.closed()
        self.channel.finishWriting()
        self.closeSoon()
    }

    // MARK: Writing

    private func write(_ message: [UInt8]) {
        if self.quirks.sendsEmptyFrames { self.write(.text, UnsafeRawBufferPointer(start: nil, count: 0)) }
        message.withUnsafeBytes { self.write(.text, $0) }
    }

    private func write(_ opcode: Opcode, _ payload: UnsafeRawBufferPointer) {
        self.frame(opcode, payload)
        self.outbound.withUnsafeBytes { self.channel.write($0) }
    }

    /// Makes `outbound` what a message is on the wire.
    private func frame(_ opcode: Opcode, _ payload: UnsafeRawBufferPointer) {
        self.outbound.removeAll(keepingCapacity: true)
        if self.isIPC {
            self.outbound.append(contentsOf: payload)
            self.outbound.append(0x0A)
        } else {
            if opcode == .text, self.deflater?.compress(payload, to: &self.compressed) == true {
                self.compressed.withUnsafeBytes {
                    FrameWriter.append(.text, payload: $0, mask: nil, isCompressed: true, to: &self.outbound)
                }
            } else {
                FrameWriter.append(opcode, payload: payload, mask: nil, to: &self.outbound)
            }
        }
    }

    // MARK: Ends

    /// The connection vanishes.
    func drop() {
        self.channel.close()
        self.end()
    }

    /// The node closes, in order.
    func close(code: UInt16, reason: String) {
        guard case .open = self.phase else {
            self.channel.close()
            return self.end()
        }
        if self.isIPC {
            self.phase = .closing
            self.channel.finishWriting()
        } else {
            self.follow(self.closing.close(code: code, reason: reason))
        }
        self.closeSoon()
    }

    /// A client that does not end its side is left.
    private func closeSoon() {
        self.closeDeadline = self.loop.schedule(at: self.loop.now.advanced(by: .seconds(5))) { [weak self] in
            self?.assumeIsolated { connection in
                connection.channel.close()
                connection.end()
            }
        }
    }

    private func follow(_ action: ClosingHandshake.Action) {
        switch action {
        case .none: break
        case .sendClose(let code, let reason): self.writeClose(code, reason)
        case .sendCloseAndFinishWriting(let code, let reason):
            self.writeClose(code, reason)
            self.channel.finishWriting()
        case .finishWriting: self.channel.finishWriting()
        case .end:
            self.channel.close()
            self.end()
        }
        if !self.closing.isOpen, case .open = self.phase { self.phase = .closing }
    }

    private func writeClose(_ code: UInt16?, _ reason: String) {
        self.outbound.removeAll(keepingCapacity: true)
        FrameWriter.appendClose(code: code, reason: reason, mask: nil, to: &self.outbound)
        self.outbound.withUnsafeBytes { self.channel.write($0) }
    }

    private func end() {
        if case .ended = self.phase { return }
        self.phase = .ended
        for deadline in [self.alarm, self.closeDeadline, self.lateAlarm] {
            if let deadline { self.loop.cancel(deadline) }
        }
        self.channel.close()
        self.script.closed()
        let script = self.script
        self.server.assumeIsolated { $0.connectionEnded(self, script) }
    }
}
