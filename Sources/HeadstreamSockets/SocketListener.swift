internal import Glibc

/// A TCP or Unix socket that others connect to.
//
// `@unchecked Sendable`: `address` is constant, the rest is confined to the loop's thread.
final class SocketListener: Listener, Pollable, @unchecked Sendable {
    /// Connections accepted per turn, so that a storm of them does not starve those that stand.
    private static let acceptsPerTurn = 64
    /// How long a listener without a descriptor waits before it tries again, if none is closed on this loop before.
    private static let pause = Duration.seconds(1)

    let address: SocketAddress
    private let loop: EventLoop
    private let tls: TLSServer?
    private let accept: (any Channel) -> any ChannelDelegate
    private var descriptor: Int32
    private var token: UInt64 = 0
    private var registered: Readiness = []
    private var retry: DeadlineID?
    /// The file of a Unix socket: removed at the end if it is still ours.
    private var file: (path: String, device: dev_t, inode: ino_t)?

    init(
        loop: EventLoop,
        address: SocketAddress,
        tls: TLSServer?,
        accept: @escaping (any Channel) -> any ChannelDelegate
    ) throws(SocketError) {
        self.loop = loop
        self.tls = tls
        self.accept = accept
        switch address {
        case .unix(let path):
            self.descriptor = try Self.bindUnix(path, name: address.description)
            self.address = address
            if !path.hasPrefix("@"), let status = Self.status(of: path) {
                self.file = (path, status.st_dev, status.st_ino)
            }
        case .host(let host, let port):
            self.descriptor = try Self.bindTCP(host, port: port, name: address.description)
            let real = RawAddress(of: self.descriptor, { getsockname($0, $1, $2) })?.hostAndPort
            self.address = real.map { .host($0.host, port: $0.port) } ?? address
        }
        self.token = loop.slots.insert(self)
        let code = loop.poller?.change(self.descriptor, from: [], to: .readable, token: self.token)
        if let code, code != 0 {
            loop.slots.remove(self.token)
            Glibc.close(self.descriptor)
            throw .listening(on: address.description, errno: code)
        }
        self.registered = .readable
        loop.counters.openSockets += 1
    }

    func close() {
        assert(self.loop.isCurrent)
        guard self.descriptor >= 0 else { return }
        self.wait(for: [])
        self.loop.slots.remove(self.token)
        self.loop.counters.openSockets -= 1
        if let retry = self.retry { self.loop.cancel(retry) }
        self.retry = nil
        self.loop.pausedListeners.removeAll { $0 === self }
        if let file = self.file, let status = Self.status(of: file.path), status.st_dev == file.device,
            status.st_ino == file.inode
        {
            unlink(file.path)
        }
        let descriptor = self.descriptor
        self.descriptor = -1
        self.loop.closeDescriptor(descriptor)
    }

    func loopShutsDown() {
        self.close()
    }

    func ready(_ readiness: Readiness) {
        for _ in 0..<Self.acceptsPerTurn {
            // A callback may have closed the listener.
            guard self.descriptor >= 0 else { return }
            let accepted = Descriptor.accept(self.descriptor)
            if accepted < 0 {
                switch errno {
                case EAGAIN: return
                case EMFILE, ENFILE, ENOBUFS, ENOMEM: return self.pauseAccepting()
                default: continue  // that connection is gone already (ECONNABORTED and others): the next one
                }
            }
            if case .host = self.address { Descriptor.setTCPOptions(accepted) }
            let channel = SocketChannel(loop: self.loop, accepted: accepted, remoteName: self.name(of: accepted))
            channel.attach(self.accept(channel))
            if let tls = self.tls { channel.startTLS(as: tls) }
        }
    }

    /// Goes on after a pause.
    func resume() {
        if let retry = self.retry { self.loop.cancel(retry) }
        self.retry = nil
        self.wait(for: .readable)
    }

    /// No descriptor is left: the connection stays in the backlog, which epoll would tell again and again. A descriptor
    /// closed on this loop, or time, brings the listener back.
    private func pauseAccepting() {
        self.wait(for: [])
        self.loop.pausedListeners.append(self)
        self.retry = self.loop.schedule(at: self.loop.now.advanced(by: Self.pause)) {
            self.loop.pausedListeners.removeAll { $0 === self }
            self.retry = nil
            self.wait(for: .readable)
        }
    }

    private func wait(for wanted: Readiness) {
        guard self.descriptor >= 0 else { return }
        self.loop.poller?.change(self.descriptor, from: self.registered, to: wanted, token: self.token)
        self.registered = wanted
    }

    private func name(of descriptor: Int32) -> String {
        guard case .host = self.address, let peer = RawAddress(of: descriptor, { getpeername($0, $1, $2) })?.hostAndPort
        else { return self.address.description }
        return SocketAddress.host(peer.host, port: peer.port).description
    }

    // MARK: Binding

    private static func bindTCP(_ host: String, port: UInt16, name: String) throws(SocketError) -> Int32 {
        // A name could need a server's answer, which the loop must not wait for; this one is everybody's.
        let number = host == "localhost" ? "127.0.0.1" : host
        guard !host.utf8.contains(0),
            case .success(let addresses) = RawAddress.resolve(number, port: port, mayAsk: false),
            let address = addresses.first
        else {
            throw SocketError(.invalidAddress, message: "\(name) cannot be listened on: the host must be an IP address")
        }
        let descriptor = Descriptor.socket(family: address.family)
        guard descriptor >= 0 else { throw .listening(on: name, errno: errno) }
        Descriptor.set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
        guard address.withPointer({ Glibc.bind(descriptor, $0, $1) }) == 0, Glibc.listen(descriptor, SOMAXCONN) == 0
        else {
            let code = errno
            Glibc.close(descriptor)
            throw .listening(on: name, errno: code)
        }
        return descriptor
    }

    private static func bindUnix(_ path: String, name: String) throws(SocketError) -> Int32 {
        guard let address = RawAddress(unixPath: path) else { throw .unixPath(path) }
        let descriptor = Descriptor.socket(family: AF_UNIX)
        guard descriptor >= 0 else { throw .listening(on: name, errno: errno) }
        var status = address.withPointer { Glibc.bind(descriptor, $0, $1) }
        if status != 0, errno == EADDRINUSE, self.removeStale(path, address) {
            status = address.withPointer { Glibc.bind(descriptor, $0, $1) }
        }
        guard status == 0, Glibc.listen(descriptor, SOMAXCONN) == 0 else {
            let code = errno
            Glibc.close(descriptor)
            throw .listening(on: name, errno: code)
        }
        return descriptor
    }

    /// Removes what a process that died left: a socket of this user that refuses connections. Anything else stays, and
    /// `errno` is what it was.
    private static func removeStale(_ path: String, _ address: RawAddress) -> Bool {
        defer { errno = EADDRINUSE }
        guard let status = self.status(of: path), status.st_mode & S_IFMT == S_IFSOCK, status.st_uid == geteuid() else {
            return false
        }
        let probe = Descriptor.socket(family: AF_UNIX)
        guard probe >= 0 else { return false }
        let isRefused = address.withPointer { Glibc.connect(probe, $0, $1) } != 0 && errno == ECONNREFUSED
        Glibc.close(probe)
        return isRefused && unlink(path) == 0
    }

    private static func status(of path: String) -> stat? {
        var status = stat()
        return lstat(path, &status) == 0 ? status : nil
    }
}
