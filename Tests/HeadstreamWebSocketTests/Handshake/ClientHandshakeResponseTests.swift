import HeadstreamWebSocket
import Testing

@Suite("Client's opening handshake: the response")
struct ClientHandshakeResponseTests {
    @Test("The response of RFC 6455 §1.3 is accepted, in pieces of any size")
    func acceptedResponse() throws {
        for chunk in [1, 2, 7, 50, 1000] {
            #expect(try answer(accepted, chunk: chunk) == .accepted(consumed: accepted.utf8.count))
        }
        let relaxed = accepted.replacing("Upgrade: websocket", with: "uPGRADE:  WebSocket ")
            .replacing("Connection: Upgrade", with: "connection: keep-alive, upgrade\r\nconnection: foo")
        #expect(try answer(relaxed) == .accepted(consumed: relaxed.utf8.count))
        #expect(try answer("HTTP/1.1 101\r\n" + accepted.split(separator: "\r\n", maxSplits: 1)[1]) != .needMore)
    }

    @Test("Edge case 110: frames in the same read as the 101 stay for the frame parser")
    func framesBehindTheResponse() throws {
        let frames = frame(.text, "early") + frame(.ping, "p")
        let bytes = Array(accepted.utf8) + frames
        let action = try answer(bytes)
        #expect(action == .accepted(consumed: accepted.utf8.count))
        #expect(
            FrameFeeder.events(of: Array(bytes[accepted.utf8.count...])) == [.text("early"), .ping(Array("p".utf8))]
        )
    }

    @Test("An interim response is passed over (RFC 9110 §15.2)")
    func interimResponses() throws {
        let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        for chunk in [1, 1000] {
            #expect(
                try answer(hints + hints + accepted, chunk: chunk)
                    == .accepted(consumed: (hints + hints + accepted).utf8.count)
            )
        }
        let endless = String(repeating: hints, count: 1000)
        #expect(Self.failure(try answer(endless))?.code == .headTooLong)
    }

    @Test(
        "Edge case 110: a 101 that does not complete this handshake is refused",
        arguments: [
            ("Upgrade: websocket", "Upgrade: h2c", "Upgrade"),
            ("Upgrade: websocket", "Upgrade: websocket\r\nUpgrade: websocket", "two Upgrade"),
            ("Upgrade: websocket\r\n", "", "Upgrade"),
            ("Connection: Upgrade", "Connection: close", "Connection"),
            ("Connection: Upgrade\r\n", "", "Connection"),
            ("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", "", "no Sec-WebSocket-Accept"),
            ("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "s3pPLMBiTxaQ9kYGzzhZRbK+xOO=", "wrong"),
            ("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "S3PPLMBITXAQ9KYGZZHZRBK+XOO=", "wrong"),
            (
                "Connection: Upgrade", "Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
                "two Sec-WebSocket-Accept"
            ),
            ("Connection: Upgrade", "Connection: Upgrade\r\nSec-WebSocket-Extensions: permessage-deflate", "extension"),
            ("Connection: Upgrade", "Connection: Upgrade\r\nsec-websocket-protocol: json", "subprotocol"),
            ("HTTP/1.1", "HTTP/1.0", "HTTP/1.1"),
            ("HTTP/1.1", "HTTP/2", "HTTP/1.1"),
        ]
    )
    func invalidUpgrade(part: String, replacement: String, word: String) throws {
        let error = Self.failure(try answer(accepted.replacing(part, with: replacement)))
        #expect(error?.code == .invalidUpgrade)
        #expect(error?.message.contains(word) == true)
    }

    @Test(
        "Edge case 110: a folded, a bare-LF or an otherwise broken header is refused",
        arguments: [
            ("Connection: Upgrade", "Connection: keep-alive,\r\n Upgrade", "folded"),
            ("Connection: Upgrade", "Connection: Upgrade\r\n\tX: y", "folded"),
            ("Connection: Upgrade\r\n", "Connection: Upgrade\n", "carriage return"),
            ("Connection: Upgrade", "Connection : Upgrade", "name"),
            ("Connection: Upgrade", "Connection Upgrade", "colon"),
            ("Connection: Upgrade", "Connection: Upgrade\r\nX: a\0b", "control"),
            ("Connection: Upgrade", "Connection: Upgrade\r\nX: a\rb", "control"),
            ("Connection: Upgrade", "Connection: Upgrade\r\n: a", "name"),
        ]
    )
    func malformedHead(part: String, replacement: String, word: String) throws {
        let error = Self.failure(try answer(accepted.replacing(part, with: replacement)))
        #expect(error?.code == .malformedHead)
        #expect(error?.message.contains(word) == true)
    }

    @Test("Edge case 110: a header of 1 MB is refused after 16 KiB, with the status if that is known")
    func hugeHeader() throws {
        let header = "X: " + String(repeating: "a", count: 1_000_000) + "\r\n\r\n"
        #expect(Self.failure(try answer("HTTP/1.1 101 OK\r\n" + header))?.code == .headTooLong)
        #expect(Self.failure(try answer("HTTP/1.1 101 OK\r\n" + header, chunk: 1000))?.code == .headTooLong)
        #expect(Self.failure(try answer("HTTP/" + String(repeating: "a", count: 20_000)))?.code == .headTooLong)
        guard case .refused(let refusal) = try answer("HTTP/1.1 520 \r\n" + header, chunk: 5000) else {
            Issue.record("not refused")
            return
        }
        #expect(refusal.status == 520)
    }

    @Test(
        "Edge case 116: a status in place of the 101 is told with its reason, Retry-After and body",
        arguments: [
            401, 403, 404, 407, 426, 429, 500, 502, 503, 504, 520, 522, 530, 200, 301,
        ]
    )
    func refusals(status: Int) throws {
        let body = #"{"error":"no"}"#
        let response =
            "HTTP/1.1 \(status) Some Reason\r\nretry-after: 7\r\nLocation: https://u:secret@b:1/secret?key=secret\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
            + body
        for chunk in [1, 30, 10_000] {
            guard case .refused(let refusal) = try answer(response, chunk: chunk) else {
                Issue.record("not refused")
                return
            }
            #expect(refusal.status == status)
            #expect(refusal.reason == "Some Reason")
            #expect(refusal.retryAfter == "7" && refusal.retryAfterSeconds == 7)
            #expect(refusal.location == "https://b:1")
            #expect(refusal.body == body)
            #expect(refusal.message == "\(status) Some Reason (retry after 7) (location https://b:1): \(body)")
        }
    }

    @Test("Edge case 116: a refusal's body is waited for until its length, its bound, the end or the deadline")
    func refusalBodies() throws {
        let head = "HTTP/1.0 503 Service Unavailable\r\n"
        // No length: until the stream ends.
        #expect(try answer(head + "\r\nbusy") == .needMore)
        #expect(Self.refusal(try answer(head + "\r\nbusy", thenEnd: true))?.body == "busy")
        #expect(Self.refusal(try answer(head + "\r\n", thenEnd: true))?.body == "")
        // A length that is never reached.
        #expect(try answer(head + "Content-Length: 9\r\n\r\nbusy") == .needMore)
        var handshake = try sampleHandshake()
        let partial = Array((head + "Content-Length: 9\r\n\r\nbusy").utf8)
        #expect(partial.withUnsafeBytes { handshake.received($0) } == .needMore)
        #expect(Self.refusal(handshake.deadlineReached())?.body == "busy")
        // None at all.
        #expect(Self.refusal(try answer(head + "Content-Length: 0\r\n\r\n"))?.body == "")
        #expect(Self.refusal(try answer("HTTP/1.1 204 No Content\r\n\r\n"))?.status == 204)
        // More than is kept.
        let long = Self.refusal(
            try answer(head + "Content-Length: 100000\r\n\r\n" + String(repeating: "é", count: 5000))
        )
        #expect(long?.body == String(repeating: "é", count: 256) + "…")
        // Nonsense for a length.
        #expect(Self.refusal(try answer(head + "Content-Length: -5\r\n\r\nx", thenEnd: true))?.body == "x")
        // In chunks.
        let chunked = head + "Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nno to\r\n4\r\nken!\r\n0\r\n\r\n"
        for chunk in [1, 1000] { #expect(Self.refusal(try answer(chunked, chunk: chunk))?.body == "no token!") }
        let endless = head + "Transfer-Encoding: chunked\r\n\r\n" + String(repeating: "1\r\nx\r\n", count: 10_000)
        #expect(Self.refusal(try answer(endless, chunk: 100))?.body.hasPrefix("xxxx") == true)
        let broken = head + "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFFFF\r\nx"
        #expect(Self.refusal(try answer(broken))?.status == 503)
        let large = head + "Transfer-Encoding: chunked\r\n\r\n7FFFFFFFFFFFFFFF\r\nx"
        #expect(Self.refusal(try answer(large, thenEnd: true))?.body == "x")
    }

    @Test("Edge case 113: control characters in a refusal are cleaned away")
    func cleanedRefusals() throws {
        let body = "<html>\r\n\t<b>\u{1B}[31mno\u{7}</b>\u{202E}\u{85}"
        let response =
            "HTTP/1.1 403 \u{1B}]0;x\r\nRetry-After: \u{1B}\r\nContent-Length: \(body.utf8.count)\r\n\r\n" + body
        let refusal = Self.refusal(try answer(response))
        #expect(refusal?.reason == #"\u{1b}]0;x"#)
        #expect(refusal?.retryAfter == #"\u{1b}"#)
        #expect(refusal?.retryAfterSeconds == nil)
        #expect(refusal?.body == #"<html> <b>\u{1b}[31mno\u{07}</b>\u{202e}\u{85}"#)
    }

    @Test("What is not HTTP is told at once")
    func foreignProtocols() throws {
        let alert = Self.failure(try answer([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x46]))
        #expect(alert?.code == .notHTTP)
        #expect(alert?.message == "the server speaks TLS on this port; use wss:// instead of ws://")
        let banner = Self.failure(try answer("SSH-2.0-OpenSSH_9.2\r\n"))
        #expect(banner?.code == .notHTTP)
        #expect(banner?.message.contains("SSH-2.0-OpenSSH_9.2") == true)
        #expect(Self.failure(try answer("{\"jsonrpc\""))?.code == .notHTTP)
        #expect(Self.failure(try answer([0x00]))?.code == .notHTTP)
        #expect(Self.failure(try answer("HTTPS/1.1 101"))?.code == .notHTTP)
        #expect(Self.failure(try answer("HTTP/1.1 abc OK\r\n\r\n"))?.code == .malformedHead)
        #expect(Self.failure(try answer("HTTP/1.1\r\n\r\n"))?.code == .malformedHead)
        #expect(Self.failure(try answer("HTTP/1.1 099 No\r\n\r\n"))?.code == .malformedHead)
    }

    @Test("An end or a deadline before the response says how far it came")
    func interrupted() throws {
        var silent = try sampleHandshake()
        #expect(Self.failure(silent.endOfStream())?.message.contains("without answering") == true)
        var late = try sampleHandshake()
        #expect(Self.failure(late.deadlineReached())?.code == .timedOut)
        let partial = Self.failure(try answer("HTTP/1.1 101 Swit", thenEnd: true))
        #expect(partial?.code == .endOfStream)
        #expect(partial?.message.contains("HTTP/1.1 101 Swit") == true)
        // What was decided stays.
        var done = try sampleHandshake()
        let bytes = Array(accepted.utf8)
        let action = bytes.withUnsafeBytes { done.received($0) }
        #expect(done.endOfStream() == action && done.deadlineReached() == action)
    }

    @Test("Random and damaged responses never trap")
    func randomResponses() throws {
        for seed in 0..<1500 as Range<UInt64> {
            var random = SeededGenerator(seed: seed)
            var bytes: [UInt8]
            switch seed % 3 {
            case 0: bytes = random.bytes(Int.random(in: 0...300, using: &random))
            case 1: bytes = Array("HTTP/1.1 503 x\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n0\r\n\r\n".utf8)
            default: bytes = Array(accepted.utf8)
            }
            for _ in 0..<Int.random(in: 0...4, using: &random) where !bytes.isEmpty {
                let index = Int.random(in: 0..<bytes.count, using: &random)
                bytes[index] = UInt8(truncatingIfNeeded: random.next())
                if Bool.random(using: &random) { bytes.remove(at: index) }
            }
            _ = try answer(bytes, chunk: Int.random(in: 1...40, using: &random), thenEnd: true)
            var server = ServerHandshake()
            _ = bytes.withUnsafeBytes { server.received($0) }
        }
    }

    private static func failure(_ action: ClientHandshake.Action) -> HandshakeError? {
        if case .failed(let error) = action { error } else { nil }
    }

    private static func refusal(_ action: ClientHandshake.Action) -> UpgradeRefusal? {
        if case .refused(let refusal) = action { refusal } else { nil }
    }
}
