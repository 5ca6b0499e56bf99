import HeadstreamSockets
import HeadstreamWebSocket

/// Lets Autobahn's fuzzing server test the client's end: `autobahn-client HOST PORT AGENT [deflate] [tls]`. The server's
/// certificate must lead to those that `SSL_CERT_FILE` names.
enum AutobahnClient {
    static func run(_ arguments: [String]) async throws {
        guard arguments.count >= 3, let port = UInt16(arguments[1]) else {
            throw HandshakeError(.invalidRequest, "usage: autobahn-client HOST PORT AGENT [deflate] [tls]")
        }
        let agent = arguments[2]
        let compression = arguments.contains("deflate") ? DeflateOptions() : nil
        func visit(_ path: String, _ compression: DeflateOptions?) async throws -> String? {
            let target = UpgradeTarget(
                host: arguments[0],
                port: port,
                isSecure: arguments.contains("tls"),
                path: path,
                userAgent: "headstream-conformance"
            )
            return try await EchoConnection.run(EventLoop.shared, to: target, compression: compression)
        }
        guard let text = try await visit("/getCaseCount", nil), let count = Int(text) else {
            throw HandshakeError(.invalidUpgrade, "the server does not tell its number of cases")
        }
        for index in stride(from: 1, through: count, by: 1) {
            _ = try await visit("/runCase?case=\(index)&agent=\(agent)", compression)
            if index % 50 == 0 { say("\(index) of \(count)") }
        }
        _ = try await visit("/updateReports?agent=\(agent)", nil)
        say("\(count) cases")
    }
}
