import HeadstreamWebSocket
import Testing

@Suite("Client's opening handshake: the request")
struct ClientHandshakeRequestTests {
    @Test("The request is RFC 6455 §4.1's, with the key of §1.3 and no Origin")
    func request() throws {
        let target = UpgradeTarget(
            host: "server.example.com",
            port: 443,
            isSecure: true,
            path: "/chat?x=1",
            userAgent: "headstream/1.0"
        )
        #expect(
            try text(of: target) == """
                GET /chat?x=1 HTTP/1.1\r
                Host: server.example.com\r
                Upgrade: websocket\r
                Connection: Upgrade\r
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r
                Sec-WebSocket-Version: 13\r
                User-Agent: headstream/1.0\r
                \r

                """
        )
    }

    @Test(
        "The Host header names the port unless it is the scheme's own",
        arguments: [
            ("node", 80, false, "node"), ("node", 443, true, "node"), ("node", 443, false, "node:443"),
            ("node", 80, true, "node:80"), ("node", 8546, false, "node:8546"),
            ("127.0.0.1", 8545, false, "127.0.0.1:8545"),
            ("::1", 8545, false, "[::1]:8545"), ("[::1]", 80, false, "[::1]"), ("fe80::1%eth0", 80, false, "[fe80::1]"),
        ] as [(String, UInt16, Bool, String)]
    )
    func hostHeader(host: String, port: UInt16, isSecure: Bool, expected: String) throws {
        let target = UpgradeTarget(host: host, port: port, isSecure: isSecure, userAgent: "a")
        #expect(try text(of: target).contains("\r\nHost: \(expected)\r\n"))
    }

    @Test("An empty path is /, a query alone gets one")
    func paths() throws {
        for (path, expected) in [("", "/"), ("?key=1", "/?key=1"), ("v2/k", "/v2/k"), ("/%20", "/%20")] {
            let target = UpgradeTarget(host: "a", port: 80, isSecure: false, path: path, userAgent: "a")
            #expect(try text(of: target).hasPrefix("GET \(expected) HTTP/1.1\r\n"))
        }
    }

    @Test("User and password of the URL become basic authentication (RFC 7617)")
    func basicAuthentication() throws {
        for (userInfo, expected) in [
            ("Aladdin:open%20sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), ("user", "dXNlcjo="), ("a:b", "YTpi"),
            ("%41:bc", "QTpiYw=="),
            ("test:123%C2%A3", "dGVzdDoxMjPCow=="),
        ] {
            let target = UpgradeTarget(host: "a", port: 80, isSecure: false, userInfo: userInfo, userAgent: "a")
            #expect(try text(of: target).contains("\r\nAuthorization: Basic \(expected)\r\n"))
        }
        let own = UpgradeTarget(
            host: "a",
            port: 80,
            isSecure: false,
            userInfo: "a:b",
            headers: [("authorization", "Bearer x"), ("User-Agent", " mine "), ("Origin", "https://a")],
            userAgent: "headstream"
        )
        let request = try text(of: own)
        #expect(request.contains("\r\nauthorization: Bearer x\r\n"))
        #expect(request.contains("\r\nUser-Agent: mine\r\n"))
        #expect(request.contains("\r\nOrigin: https://a\r\n"))
        #expect(!request.contains("Basic") && !request.contains("headstream"))
    }

    @Test("Edge case 112: CR, LF and NUL are refused in every value, and the message does not repeat it")
    func forbiddenBytes() {
        for bad in ["\r", "\n", "\0", "\r\nX: y", "\u{7F}"] {
            let value = "s3cret" + bad + "x"
            for target in [
                UpgradeTarget(host: value, port: 80, isSecure: false, userAgent: "a"),
                UpgradeTarget(host: "::1%" + value, port: 80, isSecure: false, userAgent: "a"),
                UpgradeTarget(host: "a", port: 80, isSecure: false, path: "/" + value, userAgent: "a"),
                UpgradeTarget(host: "a", port: 80, isSecure: false, headers: [(value, "v")], userAgent: "a"),
                UpgradeTarget(host: "a", port: 80, isSecure: false, headers: [("X-Key", value)], userAgent: "a"),
                UpgradeTarget(host: "a", port: 80, isSecure: false, userInfo: value, userAgent: "a"),
                UpgradeTarget(host: "a", port: 80, isSecure: false, userAgent: value),
            ] {
                let error = #expect(throws: HandshakeError.self) { try text(of: target) }
                #expect(error?.code == .invalidRequest)
                #expect(error?.message.contains { $0.isNewline || $0 == "\0" } == false)
                if target.headers.first?.name != value { #expect(error?.message.contains("s3cret") == false) }
            }
        }
        let encoded = UpgradeTarget(host: "a", port: 80, isSecure: false, userInfo: "a%0D%0A:b", userAgent: "a")
        #expect(throws: HandshakeError.self) { try text(of: encoded) }
    }

    @Test(
        "Edge case 112: the handshake's own headers cannot be set",
        arguments: [
            "Host", "host", "UPGRADE", "Connection", "Sec-WebSocket-Key", "sec-websocket-protocol",
            "Sec-WebSocket-Whatever",
            "Content-Length", "Transfer-Encoding",
        ]
    )
    func ownHeaders(name: String) {
        let target = UpgradeTarget(host: "a", port: 80, isSecure: false, headers: [(name, "x")], userAgent: "a")
        #expect(throws: HandshakeError.self) { try text(of: target) }
    }

    @Test(
        "What cannot stand in a URL's parts is refused",
        arguments: [
            ("", "/", ""), ("a b", "/", ""), ("exämple", "/", ""), ("a/b", "/", ""), ("a@b", "/", ""), ("a", "/ä", ""),
            ("a", "/a b", ""), ("a", "/a#b", ""), ("a", "/", "%"), ("a", "/", "%4"), ("a", "/", "%zz"),
        ]
    )
    func invalidParts(host: String, path: String, userInfo: String) {
        let target = UpgradeTarget(
            host: host,
            port: 80,
            isSecure: false,
            path: path,
            userInfo: userInfo,
            userAgent: "a"
        )
        #expect(throws: HandshakeError.self) { try text(of: target) }
    }

    private func text(of target: UpgradeTarget) throws -> String {
        String(decoding: try sampleHandshake(to: target).request, as: UTF8.self)
    }
}

/// A handshake whose key is that of RFC 6455 §1.3.
func sampleHandshake(
    to target: UpgradeTarget = UpgradeTarget(host: "a", port: 80, isSecure: false, userAgent: "a")
) throws(HandshakeError) -> ClientHandshake {
    try ClientHandshake(to: target) { $0.copyBytes(from: "the sample nonce".utf8) }
}

/// Hands over `response` as a channel does, in growing pieces.
func answer(_ response: [UInt8], chunk: Int = .max, thenEnd: Bool = false) throws -> ClientHandshake.Action {
    var handshake = try sampleHandshake()
    var end = 0
    var action = ClientHandshake.Action.needMore
    while end < response.count, action == .needMore {
        end = chunk < response.count - end ? end + chunk : response.count
        action = response[..<end].withUnsafeBytes { handshake.received($0) }
    }
    if action == .needMore, thenEnd { action = handshake.endOfStream() }
    return action
}

func answer(_ response: String, chunk: Int = .max, thenEnd: Bool = false) throws -> ClientHandshake.Action {
    try answer(Array(response.utf8), chunk: chunk, thenEnd: thenEnd)
}

let accepted =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
