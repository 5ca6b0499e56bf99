import HeadstreamSockets
import HeadstreamWebSocket

// Between the socket, or the tunnel, and the upgrade request: with `wss`, the TLS handshake, under the connect deadline.
extension Connection {
    /// From here on the bytes are the node's: goes over to TLS where the endpoint wants it, then asks for the upgrade.
    func beginUpgrade(_ channel: any Channel, _ handshake: ClientHandshake) {
        guard let client = self.endpoint.tlsClient(with: self.configuration) else {
            return self.sendUpgrade(channel, handshake)
        }
        self.phase = .securing(handshake)
        channel.startTLS(client)
    }

    nonisolated func channelSecured(_ channel: any Channel) {
        self.assumeIsolated { connection in
            guard case .securing(let handshake) = connection.phase else { return }
            connection.sendUpgrade(channel, handshake)
        }
    }

    private func sendUpgrade(_ channel: any Channel, _ handshake: ClientHandshake) {
        self.phase = .upgrading(handshake)
        handshake.request.withUnsafeBytes { channel.write($0) }
    }
}

extension Endpoint {
    /// What the channel needs for TLS; nil where the endpoint wants none.
    package func tlsClient(with configuration: Configuration) -> TLSClient? {
        guard self.isSecure, case .webSocket(let host, let port, _, _) = self.target else { return nil }
        return TLSClient(
            settings: configuration.tls.settings(environment: configuration.environment),
            host: host,
            port: port
        )
    }
}
