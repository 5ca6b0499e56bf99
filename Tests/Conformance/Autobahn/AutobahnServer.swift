import HeadstreamSockets
import HeadstreamWebSocket

/// Lets Autobahn's fuzzing client test the server's end, which replays and recordings stand on: `autobahn-server
/// [deflate]`. Prints its port and listens until it is killed.
enum AutobahnServer {
    static func run(_ arguments: [String]) async throws {
        let compression = arguments.contains("deflate") ? DeflateOptions() : nil
        let loop = EventLoop.shared
        let listener: any Listener = try await withCheckedThrowingContinuation { continuation in
            loop.execute {
                do throws(SocketError) {
                    let listener = try loop.listen(on: .host("127.0.0.1", port: 0)) { channel in
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
