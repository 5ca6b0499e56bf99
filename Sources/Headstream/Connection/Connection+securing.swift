import HeadstreamSockets
import HeadstreamWebSocket

// Between the socket, or the tunnel, and the upgrade request.
extension Connection {
    /// From here on the bytes are the node's: asks for the upgrade.
    func beginUpgrade(_ channel: any Channel, _ handshake: ClientHandshake) {
        self.phase = .upgrading(handshake)
        handshake.request.withUnsafeBytes { channel.write($0) }
    }
}
