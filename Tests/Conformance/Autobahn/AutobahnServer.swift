import HeadstreamSockets
import HeadstreamWebSocket

/// Lets Autobahn's fuzzing client test the server's end, which replays and recordings stand on: `autobahn-server
/// [deflate] [tls FILE]`, with a file of certificate and key. Prints its port and listens until it is killed.
enum AutobahnServer {
    static func run(_ arguments: [String]) async throws {
        let compression = arguments.contains("deflate") ? DeflateOptions() : nil
        let certificate = arguments.firstIndex(of: "tls").flatMap { arguments.dropFirst($0 + 1).first }
        let tls = try certificate.map { try TLSServer(TLSSettings.Identity(certificate: .file($0))) }
        let loop = EventLoop.shared
        let listener: any Listener = try await withCheckedThrowingContinuation { continuation in
            loop.execute {
                do throws(SocketError) {
                    let listener = try loop.listen(on: .host("127.0.0.1", port: 0), tls: tls) { channel in
                        EchoConnection(loop, channel, compression: compression)
                    }
                    continuation.resume(returning: listener)
                } catch {
                    continuation.resume(throwing: error)
                }
            }
        }
        if case .host(_, let port) = listener.address { say("port \(port)") }
        try await loop.sleep(until: LoopInstant(nanoseconds: .max))
        withExtendedLifetime(listener) {}
    }
}
