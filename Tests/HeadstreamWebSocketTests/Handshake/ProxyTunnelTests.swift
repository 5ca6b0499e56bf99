import Testing

@testable import HeadstreamWebSocket

@Suite("A tunnel through an HTTP proxy (CONNECT)")
struct ProxyTunnelTests {
    private func tunnel(_ host: String = "node.example", _ userInfo: String? = nil) throws -> ProxyTunnel {
        try ProxyTunnel(toHost: host, port: 443, userInfo: userInfo, userAgent: "headstream/1.0")
    }

    /// What follows from an answer that comes in pieces of `chunk` bytes.
    private func answer(_ text: String, chunk: Int = .max, thenEnd: Bool = false) throws -> ProxyTunnel.Action {
        var tunnel = try self.tunnel()
        let bytes = Array(text.utf8)
        var end = 0
        while end < bytes.count {
            end = chunk < bytes.count - end ? end + chunk : bytes.count
            let action = bytes[..<end].withUnsafeBytes { tunnel.received($0) }
            if action != .needMore { return action }
        }
        return thenEnd ? tunnel.endOfStream() : .needMore
    }

    @Test("The request names the node twice and nothing of its path; the proxy's credentials are decoded")
    func request() throws {
        #expect(
            try String(decoding: self.tunnel("node.example", "me:p%40ss").request, as: UTF8.self) == """
                CONNECT node.example:443 HTTP/1.1\r
                Host: node.example:443\r
                User-Agent: headstream/1.0\r
                Proxy-Authorization: Basic bWU6cEBzcw==\r
                \r

                """
        )
        let ipv6 = String(decoding: try self.tunnel("2001:db8::1").request, as: UTF8.self)
        #expect(ipv6.hasPrefix("CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n"))
        #expect(!ipv6.contains("Proxy-Authorization"))
    }

    @Test(
        "Edge case 112: what must not be sent to a proxy is refused, and not repeated",
        arguments: [
            ("no\r\nde", nil, "a"), ("node", "us:s%0d%0aX: secret", "a"), ("node", "secret:%4", "a"),
            ("node", "sec\u{0}ret", "a"), ("node", nil, "a\nX: secret"), ("", nil, "a"),
        ] as [(String, String?, String)]
    )
    func injection(host: String, userInfo: String?, agent: String) {
        let error = #expect(throws: HandshakeError.self) {
            try ProxyTunnel(toHost: host, port: 1, userInfo: userInfo, userAgent: agent)
        }
        #expect(error?.code == .invalidRequest)
        #expect(error?.message.contains("secret") == false)
    }

    @Test("Any 2xx opens it, of HTTP/1.0 too, in any pieces, behind interim answers; header and length do not matter")
    func established() throws {
        for text in [
            "HTTP/1.1 200 Connection established\r\n\r\n", "HTTP/1.0 200 OK\r\nVia: proxy\r\n\r\n",
            "HTTP/1.1 204 \r\nContent-Length: 5\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ] {
            for chunk in [1, 7, 1000] {
                #expect(try self.answer(text, chunk: chunk) == .established(consumed: text.utf8.count))
            }
        }
    }

    @Test("Bytes behind the answer belong to nobody")
    func surplus() throws {
        guard case .failed(let error) = try self.answer("HTTP/1.1 200 OK\r\n\r\nhello") else {
            Issue.record("not failed")
            return
        }
        #expect(error.message == "the proxy sent 5 bytes behind its answer to CONNECT")
    }

    @Test(
        "A refusal is told with status, body and what to do",
        arguments: [
            (407, "credentials"), (403, "NO_PROXY"), (502, "cannot reach"), (503, "cannot reach"), (504, "in time"),
            (405, "no proxy"), (301, "not followed"), (418, nil),
        ] as [(Int, String?)]
    )
    func refused(status: Int, advice: String?) throws {
        let text = "HTTP/1.1 \(status) Sorry\r\nContent-Length: 4\r\n\r\nbody"
        for chunk in [1, 1000] {
            guard case .refused(let refusal) = try self.answer(text, chunk: chunk) else {
                Issue.record("not refused")
                return
            }
            #expect(refusal.status == status)
            #expect(refusal.message == "\(status) Sorry: body")
            #expect(advice.map { refusal.proxyAdvice?.contains($0) == true } ?? (refusal.proxyAdvice == nil))
        }
    }

    @Test("No answer, half of one, something else, and one that has no end")
    func failures() throws {
        func failure(_ action: ProxyTunnel.Action) -> HandshakeError? {
            if case .failed(let error) = action { error } else { nil }
        }
        var silent = try self.tunnel()
        #expect(failure(silent.endOfStream())?.message == "the proxy closed the connection without answering CONNECT")
        var late = try self.tunnel()
        #expect(failure(late.deadlineReached())?.code == .timedOut)
        #expect(failure(try self.answer("HTTP/1.1 2", thenEnd: true))?.code == .endOfStream)
        #expect(failure(try self.answer("\u{5}\u{0}"))?.code == .notHTTP)
        #expect(failure(try self.answer("\u{15}\u{3}"))?.message.contains("https:// proxies") == true)
        #expect(failure(try self.answer("HTTP/1.1 200 \(String(repeating: "a", count: 20_000))"))?.code == .headTooLong)
    }

    @Test("Random and damaged answers never trap")
    func random() throws {
        for seed in 0..<500 as Range<UInt64> {
            var random = SeededGenerator(seed: seed)
            var bytes = Array("HTTP/1.1 200 Connection established\r\nA: b\r\n\r\n".utf8)
            for _ in 0..<Int.random(in: 0...4, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8(truncatingIfNeeded: random.next())
            }
            var tunnel = try self.tunnel()
            _ = bytes.withUnsafeBytes { tunnel.received($0) }
            _ = tunnel.endOfStream()
        }
    }
}

@Suite("What a refusal says about time and place")
struct UpgradeRefusalTests {
    @Test(
        "HTTP dates in their three forms (RFC 9110 §5.6.7)",
        arguments: [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777), ("Sun Nov  6 08:49:37 1994", 784_111_777),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0), ("Thu, 29 Feb 2024 23:59:60 GMT", 1_709_251_200),
            ("Monday, 06-Nov-23 08:49:37 GMT", 1_699_260_577), ("Wed, 31 Dec 1969 23:59:59 GMT", -1),
            ("tomorrow", nil), ("", nil), ("Sun, 06 Nov 1994 25:49:37 GMT", nil),
            ("Sun, 32 Nov 1994 08:49:37 GMT", nil),
            ("Sun, 06 Foo 1994 08:49:37 GMT", nil), ("Sun, 06 Nov 99999999999999999999 08:49:37 GMT", nil),
            ("Sun, 06 Nov 1994 08:49 GMT", nil),
        ] as [(String, Int?)]
    )
    func dates(text: String, seconds: Int?) {
        #expect(HTTPDate.seconds(text) == seconds)
    }

    @Test("Retry-After as a date counts from the answer's own date; without one it is a text only")
    func retryAfter() {
        func seconds(_ retryAfter: String?, date: String? = nil) -> Int? {
            UpgradeRefusal(status: 429, retryAfter: retryAfter, date: date).retryAfterSeconds
        }
        let now = "Sun, 06 Nov 1994 08:49:37 GMT"
        #expect(seconds("120") == 120)
        #expect(seconds("Sun, 06 Nov 1994 08:50:37 GMT", date: now) == 60)
        #expect(seconds("Sun, 06 Nov 1994 08:00:00 GMT", date: now) == 0)
        #expect(seconds("Sun, 06 Nov 1994 08:50:37 GMT") == nil)
        #expect(seconds("soon", date: now) == nil)
        #expect(seconds(nil, date: now) == nil)
        #expect(seconds("") == nil)
        #expect(seconds("99999999999999999999") == nil)
    }

    @Test(
        "Of a location, scheme, host and port are kept",
        arguments: [
            ("https://u:secret@b.example:8443/secret?secret#secret", "https://b.example:8443"),
            ("//b.example/secret", "//b.example"), ("/secret", "another path"), ("", "another path"),
            ("wss://b?secret", "wss://b"), ("/secret?to=https://b", "another path"),
            ("https:///secret", "another path"),
        ]
    )
    func location(text: String, kept: String) {
        #expect(UpgradeRefusal(status: 302, location: text).location == kept)
    }
}
