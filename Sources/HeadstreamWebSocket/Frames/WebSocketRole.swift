/// Which end of a connection this is.
///
/// A client masks every frame it sends and a server none (RFC 6455 §5.1), and after the closing handshake the server
/// ends the TCP connection first (§7.1.1).
package enum WebSocketRole: Hashable, Sendable {
    case client
    case server
}
