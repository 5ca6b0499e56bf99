package import HeadstreamSockets
package import HeadstreamWebSocket

extension Endpoint {
    /// What it takes to connect: the socket's address, and for WebSocket the opening handshake.
    ///
    /// The handshake is built before anything is sent, so that a header with a line break is refused first.
    ///
    /// - Parameter fillRandom: fills the handshake's key from a secure generator.
    /// - Throws: ``HandshakeError/Code/invalidRequest`` for what must not be sent, and for a literal that is no endpoint,
    ///   which callers tell first where they tell it otherwise.
    package func dialling(
        with configuration: Configuration,
        fillRandom: (UnsafeMutableRawBufferPointer) -> Void
    ) throws(HandshakeError) -> (address: SocketAddress, handshake: ClientHandshake?) {
        switch self.target {
        case .invalid(let reason):
            throw HandshakeError(.invalidRequest, reason)
        case .ipc(let path):
            return (.unix(path: path), nil)
        case .webSocket(let host, let port, let path, let userInfo):
            let target = UpgradeTarget(
                host: host,
                port: port,
                isSecure: false,
                path: path,
                userInfo: userInfo,
                headers: configuration.headers,
                userAgent: configuration.userAgent
            )
            let offer = configuration.compression.offer
            let handshake = try ClientHandshake(to: target, compression: offer, fillRandom: fillRandom)
            return (.host(host, port: port), handshake)
        }
    }
}
