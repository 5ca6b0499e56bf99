import HeadstreamWebSocket
import Testing

@Suite("Server's opening handshake")
struct ServerHandshakeTests {
    static let request =
        "GET /chat/v1?key=a%20b&c HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n"
        + "Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        + "Sec-WebSocket-Version: 13\r\nX-Api-Key: one\r\nx-api-key: two\r\n\r\n"

    @Test("The request of RFC 6455 §1.3 is accepted and answered; path, query and headers can be read")
    func acceptedRequest() throws {
        for chunk in [1, 13, 10_000] {
            guard case .accepted(let request, let consumed) = Self.answer(Self.request + "\u{1}\u{2}", chunk: chunk)
            else {
                Issue.record("not accepted")
                return
            }
            #expect(consumed == Self.request.utf8.count)
            #expect(request.path == "/chat/v1")
            #expect(request.query == "key=a%20b&c")
            #expect(request.target == "/chat/v1?key=a%20b&c")
            #expect(request.head.values(of: "X-API-KEY") == ["one", "two"])
            #expect(request.head.first("host") == "server.example.com")
            #expect(String(decoding: request.acceptance, as: UTF8.self) == accepted)
        }
    }

    @Test("A client of ours and a server of ours agree")
    func roundTrip() throws {
        var client = try ClientHandshake(
            to: UpgradeTarget(host: "::1", port: 8546, isSecure: false, path: "/v1", userInfo: "u:p", userAgent: "a")
        ) { bytes in for index in bytes.indices { bytes[index] = UInt8(truncatingIfNeeded: index * 17) } }
        var server = ServerHandshake()
        guard case .accepted(let request, let consumed) = client.request.withUnsafeBytes({ server.received($0) }) else {
            Issue.record("not accepted")
            return
        }
        #expect(consumed == client.request.count)
        #expect(request.query == nil)
        #expect(request.head.first("Authorization") == "Basic dTpw")
        let action = request.acceptance.withUnsafeBytes { client.received($0) }
        #expect(action == .accepted(consumed: request.acceptance.count))
    }

    @Test(
        "A request that is not the handshake's is answered with its error",
        arguments: [
            ("GET ", "POST ", 405), ("HTTP/1.1", "HTTP/1.0", 505), ("HTTP/1.1", "HTTP/2.0", 505),
            ("GET /chat", "GET chat", 400), ("GET /chat/v1?key=a%20b&c HTTP/1.1", "nonsense", 400),
            ("Host: server.example.com\r\n", "", 400), ("Host:", "Host: a\r\nHost:", 400),
            ("Upgrade: websocket\r\n", "", 426), ("Upgrade: websocket", "Upgrade: h2c", 426),
            ("keep-alive, Upgrade", "keep-alive", 426), ("Version: 13", "Version: 8", 426),
            ("Sec-WebSocket-Version: 13\r\n", "", 426),
            ("Version: 13", "Version: 13\r\nSec-WebSocket-Version: 13", 426),
            ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZR==", 400), ("dGhlIHNhbXBsZSBub25jZQ==", "dGhl", 400),
            ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j!Q==", 400),
            ("Sec-WebSocket-Key", "Sec-WebSocket-Kex", 400),
            ("X-Api-Key: one", "X-Api-Key: one\r\n folded", 400), ("X-Api-Key: one", "X-Api-Key : one", 400),
        ]
    )
    func refusedRequests(part: String, replacement: String, status: Int) {
        guard case .refused(let response, let told) = Self.answer(Self.request.replacing(part, with: replacement))
        else {
            Issue.record("not refused")
            return
        }
        #expect(told == status)
        let text = String(decoding: response, as: UTF8.self)
        #expect(text.hasPrefix("HTTP/1.1 \(status) "))
        #expect(text.contains("\r\nConnection: close\r\n"))
        if replacement.contains("Version") { #expect(text.contains("\r\nSec-WebSocket-Version: 13\r\n")) }
    }

    @Test("A head over 16 KiB is refused with 431, before it is whole")
    func hugeHead() {
        let huge = "GET / HTTP/1.1\r\nX: " + String(repeating: "a", count: 100_000)
        guard case .refused(_, 431) = Self.answer(huge, chunk: 1000) else {
            Issue.record("not refused")
            return
        }
    }

    @Test("An error response of the server's own is what the client tells")
    func errorResponse() throws {
        let response = ServerHandshake.errorResponse(
            status: 429,
            reason: "Too Many Requests",
            headers: [("Retry-After", "3")],
            body: "slow down"
        )
        guard case .refused(let refusal) = try HeadstreamWebSocketTests.answer(response) else {
            Issue.record("not refused")
            return
        }
        #expect(refusal.message == "429 Too Many Requests (retry after 3): slow down")
    }

    static func answer(_ text: String, chunk: Int = .max) -> ServerHandshake.Action {
        let bytes = Array(text.utf8)
        var handshake = ServerHandshake()
        var end = 0
        var action = ServerHandshake.Action.needMore
        while end < bytes.count, action == .needMore {
            end = chunk < bytes.count - end ? end + chunk : bytes.count
            action = bytes[..<end].withUnsafeBytes { handshake.received($0) }
        }
        return action
    }
}
