package import HeadstreamSockets
package import HeadstreamWebSocket

/// What it takes to connect to an endpoint.
package struct Dialling: Sendable {
    /// Where the socket goes: the node, or the proxy in front of it.
    package var address: SocketAddress
    /// The proxy on the way, and what is said to it first.
    package var tunnel: ProxyTunnel?
    /// For WebSocket, the opening handshake.
    package var handshake: ClientHandshake?

    /// For messages.
    var proxy: Proxy?

    /// What the proxy is called in messages, without credentials.
    package var proxyName: String? { self.proxy?.description }
}

extension Endpoint {
    /// What it takes to connect: the socket's address, the tunnel through a proxy, and for WebSocket the opening
    /// handshake.
    ///
    /// All that is sent is built before anything is, so that a header with a line break is refused first.
    ///
    /// - Parameter fillRandom: fills the handshake's key from a secure generator.
    /// - Throws: ``HandshakeError/Code/invalidRequest`` for what must not be sent, for a proxy that cannot be used, and
    ///   for a literal that is no endpoint, which callers tell first where they tell it otherwise.
    package func dialling(
        with configuration: Configuration,
        fillRandom: (UnsafeMutableRawBufferPointer) -> Void
    ) throws(HandshakeError) -> Dialling {
        switch self.target {
        case .invalid(let reason):
            throw HandshakeError(.invalidRequest, reason)
        case .ipc(let path):
            return Dialling(address: .unix(path: path))
        case .webSocket(let host, let port, let path, let userInfo):
            let target = UpgradeTarget(
                host: host,
                port: port,
                isSecure: self.isSecure,
                path: path,
                userInfo: userInfo,
                headers: configuration.headers,
                userAgent: configuration.userAgent
            )
            let handshake = try ClientHandshake(
                to: target,
                compression: configuration.compression.offer,
                fillRandom: fillRandom
            )
            guard let proxy = try configuration.proxy(for: target) else {
                return Dialling(address: .host(host, port: port), handshake: handshake)
            }
            let tunnel = try ProxyTunnel(
                toHost: host,
                port: port,
                userInfo: proxy.userInfo,
                userAgent: configuration.userAgent
            )
            return Dialling(address: proxy.address, tunnel: tunnel, handshake: handshake, proxy: proxy)
        }
    }
}

extension Configuration {
    fileprivate func proxy(for target: UpgradeTarget) throws(HandshakeError) -> Proxy? {
        do throws(ProxyError) {
            return try self.proxy(toHost: target.host, port: target.port, isSecure: target.isSecure)
        } catch {
            throw HandshakeError(.invalidRequest, "the proxy \(error.reason)")
        }
    }
}
