internal import Glibc

/// From an address to a connected descriptor: looks the name up, races its addresses, waits for a full backlog.
//
// `@unchecked Sendable`: confined to its loop's thread; what the resolver finds comes through `execute`.
final class ConnectAttempt: @unchecked Sendable {
    /// One socket of the race.
    private final class Runner: Pollable {
        let attempt: ConnectAttempt
        let descriptor: Int32
        var token: UInt64 = 0

        init(_ attempt: ConnectAttempt, _ descriptor: Int32) {
            self.attempt = attempt
            self.descriptor = descriptor
        }

        func ready(_ readiness: Readiness) {
            self.attempt.settled(self)
        }

        /// The channel ends, and takes the attempt with it.
        func loopShutsDown() {}
    }

    private let loop: EventLoop
    /// Held until the attempt is over; the channel holds the attempt.
    private var channel: SocketChannel?
    private let address: SocketAddress
    private let name: String
    private var request: NameResolver.Request?
    private var addresses: [RawAddress] = []
    private var race = AddressRace(count: 0)
    private var runners: [Runner] = []
    /// The race's next start, or the next try at a full backlog.
    private var deadline: DeadlineID?
    private var backOff = Duration.milliseconds(10)
    private static let longestBackOff = Duration.milliseconds(200)

    init(channel: SocketChannel, address: SocketAddress) {
        self.loop = channel.loop
        self.channel = channel
        self.address = address
        self.name = address.description
    }

    /// Begins in the next turn: the channel's owner is never told anything inside its own call.
    func start() {
        if self.loop.isStopping { return }
        self.loop.execute { self.begin() }
    }

    private func begin() {
        guard self.channel != nil else { return }
        switch self.address {
        case .unix(let path):
            guard let address = RawAddress(unixPath: path) else {
                return self.fail(.unixPath(path))
            }
            self.connectUnix(address)
        case .host(let host, let port):
            guard !host.isEmpty, !host.utf8.contains(0), port != 0 else {
                let message = "\(self.name) is not an address: it needs a host and a port from 1 to 65535"
                return self.fail(SocketError(.invalidAddress, message: message))
            }
            // A number needs no thread.
            if case .success(let addresses) = RawAddress.resolve(host, port: port, mayAsk: false) {
                return self.resolved(.success(addresses))
            }
            let request = NameResolver.Request(host: host, port: port) { result in
                self.loop.execute { self.resolved(result) }
            }
            self.request = request
            self.loop.resolver.resolve(request)
        }
    }

    /// Gives everything up.
    func cancel() {
        self.channel = nil
        self.request?.cancel()
        self.request = nil
        if let deadline = self.deadline { self.loop.cancel(deadline) }
        self.deadline = nil
        for runner in self.runners { self.drop(runner, closing: true) }
        self.runners = []
    }

    private func fail(_ error: SocketError) {
        let channel = self.channel
        self.cancel()
        channel?.end(.failed(error))
    }

    private func succeed(_ descriptor: Int32) {
        let channel = self.channel
        self.cancel()
        channel?.connected(descriptor)
    }

    // MARK: TCP

    private func resolved(_ result: Result<[RawAddress], SocketError>) {
        guard self.channel != nil else { return }
        self.request = nil
        switch result {
        case .failure(let error):
            self.fail(error)
        case .success(let addresses):
            let first = addresses.first?.family
            self.addresses = AddressRace.interleaved(addresses) { $0.family == first }
            self.race = AddressRace(count: addresses.count)
            self.perform(self.race.delayPassed())
        }
    }

    private func perform(_ first: AddressRace.Action) {
        var action = first
        while true {
            switch action {
            case .wait: return
            case .fail(let error): return self.fail(error)
            case .start(let index):
                self.awaitNext()
                guard let error = self.connect(self.addresses[index]) else { return }
                action = self.race.attemptFailed(error)
            }
        }
    }

    private func awaitNext() {
        if let deadline = self.deadline { self.loop.cancel(deadline) }
        self.deadline = nil
        guard self.race.hasMore else { return }
        self.deadline = self.loop.schedule(at: self.loop.now.advanced(by: AddressRace.delay)) {
            self.deadline = nil
            self.perform(self.race.delayPassed())
        }
    }

    /// Starts one connection; returns its error if it failed at once.
    private func connect(_ address: RawAddress) -> SocketError? {
        let descriptor = Descriptor.socket(family: address.family)
        guard descriptor >= 0 else { return .connecting(to: self.name, errno: errno) }
        Descriptor.setTCPOptions(descriptor, userTimeout: self.loop.userTimeout)
        let status = address.withPointer { Glibc.connect(descriptor, $0, $1) }
        let code = errno
        // An interrupted connect goes on by itself, like one in progress.
        guard status == 0 || code == EINPROGRESS || code == EINTR else {
            Glibc.close(descriptor)
            return .connecting(to: self.name, errno: code)
        }
        let runner = Runner(self, descriptor)
        runner.token = self.loop.slots.insert(runner)
        self.runners.append(runner)
        let failure = self.loop.poller?.change(descriptor, from: [], to: .writable, token: runner.token)
        if let failure, failure != 0 {
            self.runners.removeAll { $0 === runner }
            self.drop(runner, closing: true)
            return .connecting(to: self.name, errno: failure)
        }
        return nil
    }

    private func settled(_ runner: Runner) {
        guard self.channel != nil else { return }
        var code: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        if getsockopt(runner.descriptor, SOL_SOCKET, SO_ERROR, &code, &length) != 0 { code = errno }
        // A port of this machine that nobody listens on may be the very one the system chose for our end: TCP then
        // connects the socket with itself.
        if code == 0, self.isConnectedToItself(runner.descriptor) { code = ECONNREFUSED }
        self.runners.removeAll { $0 === runner }
        self.drop(runner, closing: code != 0)
        if code == 0 {
            self.succeed(runner.descriptor)
        } else {
            self.perform(self.race.attemptFailed(.connecting(to: self.name, errno: code)))
        }
    }

    private func isConnectedToItself(_ descriptor: Int32) -> Bool {
        guard let own = RawAddress(of: descriptor, { getsockname($0, $1, $2) }),
            let peer = RawAddress(of: descriptor, { getpeername($0, $1, $2) })
        else { return false }
        return own == peer
    }

    private func drop(_ runner: Runner, closing: Bool) {
        self.loop.poller?.change(runner.descriptor, from: .writable, to: [], token: runner.token)
        self.loop.slots.remove(runner.token)
        if closing { self.loop.closeDescriptor(runner.descriptor) }
    }

    // MARK: Unix sockets

    private func connectUnix(_ address: RawAddress) {
        let descriptor = Descriptor.socket(family: AF_UNIX)
        guard descriptor >= 0 else { return self.fail(.connecting(to: self.name, errno: errno)) }
        let status = address.withPointer { Glibc.connect(descriptor, $0, $1) }
        let code = errno
        if status == 0 { return self.succeed(descriptor) }
        Glibc.close(descriptor)
        guard code == EAGAIN || code == EINTR else { return self.fail(.connecting(to: self.name, errno: code)) }
        // The backlog is full. Unlike TCP, a Unix socket does not wait in line, and epoll would call it writable; the
        // system offers nothing to wait for but time. Who connects has a deadline and ends this by closing.
        self.deadline = self.loop.schedule(at: self.loop.now.advanced(by: self.backOff)) {
            self.deadline = nil
            self.connectUnix(address)
        }
        self.backOff = min(self.backOff * 2, Self.longestBackOff)
    }
}

extension SocketError {
    static func unixPath(_ path: String) -> Self {
        let count = path.utf8.count
        let message =
            count > 107
            ? "the path of a Unix socket has at most 107 bytes, this one has \(count): \(path)"
            : "\"\(path)\" is not the path of a Unix socket"
        return Self(.invalidAddress, message: message)
    }
}
