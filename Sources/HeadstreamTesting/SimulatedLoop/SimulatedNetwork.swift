package import HeadstreamSockets

/// What goes wrong on one direction of an in-memory link.
package struct LinkFault: Sendable, Hashable {
    /// How long bytes and the end of the stream are under way.
    package var delay: Duration
    /// After this many bytes the connection breaks: both ends are told ``SocketError/Code-swift.enum/reset``.
    package var cutAfter: Int?
    /// After this many bytes nothing arrives any more, and nobody is told: a half-open connection.
    package var silentAfter: Int?

    package init(delay: Duration = .zero, cutAfter: Int? = nil, silentAfter: Int? = nil) {
        self.delay = delay
        self.cutAfter = cutAfter
        self.silentAfter = silentAfter
    }
}

/// What goes wrong on a link: from who connects to who listens, and back.
package struct LinkFaults: Sendable, Hashable {
    package var toListener: LinkFault
    package var toConnector: LinkFault

    package init(toListener: LinkFault = LinkFault(), toConnector: LinkFault = LinkFault()) {
        self.toListener = toListener
        self.toConnector = toConnector
    }
}

/// The addresses and links of one simulated loop. Confined to it.
final class SimulatedNetwork {
    /// What one direction of a link holds, as a socket's buffers do.
    static let capacity = 256 << 10

    let schedule: Schedule
    /// Asked at each connect, with the address and the connection's number from 1.
    var faults: (SocketAddress, Int) -> LinkFaults = { _, _ in LinkFaults() }

    private var listeners: [SocketAddress: SimulatedListener] = [:]
    private let connecting = CallbackLane(label: "connect")
    private var connections = 0
    private var lastPort: UInt16 = 49_151
    /// Every channel, in the order they were made; weakly, for the errors of a stuck run.
    private var channels: [WeakChannel] = []
    /// Channels with bytes to hand over at the turn's end, each once.
    private var writers: [SimulatedChannel] = []

    private struct WeakChannel {
        weak var channel: SimulatedChannel?
    }

    init(_ schedule: Schedule) {
        self.schedule = schedule
    }

    func listen(
        on address: SocketAddress,
        accept: @escaping (any Channel) -> any ChannelDelegate
    ) throws(SocketError) -> any Listener {
        var key = Self.normalise(address)
        if case .host(let host, port: 0) = key {
            repeat {
                self.lastPort = self.lastPort == .max ? 49_152 : self.lastPort + 1
            } while self.listeners[.host(host, port: self.lastPort)] != nil
            key = .host(host, port: self.lastPort)
        }
        guard self.listeners[key] == nil else {
            throw SocketError(.cannotListen, message: "\(address) is taken on this simulated loop")
        }
        let listener = SimulatedListener(address: key, network: self, accept: accept)
        self.listeners[key] = listener
        return listener
    }

    func stopListening(on address: SocketAddress) {
        self.listeners[address] = nil
    }

    func connect(to address: SocketAddress, delegate: any ChannelDelegate) -> any Channel {
        self.connections += 1
        let number = self.connections
        let channel = SimulatedChannel(
            label: "connector \(number)",
            remoteName: address.description,
            network: self,
            delegate: delegate
        )
        self.add(channel)
        self.connecting.append { [weak self] in
            guard let self, !channel.isClosed else { return }
            guard let listener = self.listeners[Self.normalise(address)] else {
                channel.fail(SocketError(.refused, message: "nobody listens on \(address)"))
                return
            }
            let faults = self.faults(address, number)
            let accepted = SimulatedChannel(
                label: "acceptor \(number)",
                remoteName: "\(address)#\(number)",
                network: self,
                delegate: nil
            )
            self.add(accepted)
            SimulatedChannel.link(channel, accepted, faults)
            channel.open()
            listener.arrived(accepted)
        }
        self.schedule.wake(self.connecting)
        return channel
    }

    private func add(_ channel: SimulatedChannel) {
        if self.channels.count >= 64 { self.channels.removeAll { $0.channel == nil } }
        self.channels.append(WeakChannel(channel: channel))
    }

    private static func normalise(_ address: SocketAddress) -> SocketAddress {
        if case .host("localhost", let port) = address { return .host("127.0.0.1", port: port) }
        return address
    }

    // MARK: Writes

    var hasWrites: Bool { !self.writers.isEmpty }

    func hasBytes(_ channel: SimulatedChannel) {
        guard !channel.isWriter else { return }
        channel.isWriter = true
        self.writers.append(channel)
    }

    func flushWrites() {
        let writers = self.writers
        self.writers = []
        for channel in writers {
            channel.isWriter = false
            channel.flush()
        }
    }

    // MARK: The end

    var openEnds: [String] {
        let ends = self.channels.compactMap { $0.channel }.filter { !$0.isClosed }.map { $0.state }
        let listening = self.listeners.keys.map { $0.description }.sorted().map { "listening on \($0)" }
        return listening + ends.prefix(16) + (ends.count > 16 ? ["\(ends.count - 16) more channels"] : [])
    }

    func removeAll() {
        for channel in self.channels.compactMap({ $0.channel }) { channel.forget() }
        self.channels = []
        self.writers = []
        self.listeners = [:]
        self.faults = { _, _ in LinkFaults() }
        self.connecting.removeAll()
    }
}

/// A listener of a simulated loop.
///
/// `@unchecked Sendable`: `address` is constant; the rest is confined to the loop.
final class SimulatedListener: Listener, @unchecked Sendable {
    let address: SocketAddress
    private weak var network: SimulatedNetwork?
    private var accept: ((any Channel) -> any ChannelDelegate)?
    private let lane: CallbackLane

    init(
        address: SocketAddress,
        network: SimulatedNetwork,
        accept: @escaping (any Channel) -> any ChannelDelegate
    ) {
        self.address = address
        self.network = network
        self.accept = accept
        self.lane = CallbackLane(label: "accept")
    }

    func arrived(_ channel: SimulatedChannel) {
        self.lane.append {
            guard let accept = self.accept else { return channel.close() }
            channel.accepted(by: accept(channel))
        }
        self.network?.schedule.wake(self.lane)
    }

    func close() {
        guard self.accept != nil else { return }
        self.accept = nil
        self.network?.stopListening(on: self.address)
    }
}

extension SimulatedLoop {
    /// Sets what goes wrong on the links of later connects. `decide` gets the address and the connection's number
    /// on this loop, counted from 1. On the loop.
    package func setFaults(_ decide: @escaping (SocketAddress, Int) -> LinkFaults) {
        self.network.faults = decide
    }
}
