import HeadstreamWebSocket
import Testing

@Suite("Agreeing on permessage-deflate (RFC 7692 §5, §7.1)")
struct DeflateNegotiationTests {
    private func handshake(_ options: DeflateOptions?) throws -> ClientHandshake {
        let target = UpgradeTarget(host: "node.example", port: 80, isSecure: false, userAgent: "test")
        return try ClientHandshake(to: target, compression: options) {
            $0.initializeMemory(as: UInt8.self, repeating: 7)
        }
    }

    /// What the client makes of a 101 with this extensions header.
    private func answer(
        _ header: String?,
        to options: DeflateOptions?
    ) throws -> (action: ClientHandshake.Action, compression: DeflateAgreement?) {
        var handshake = try self.handshake(options)
        var server = ServerHandshake()
        guard case .accepted(let request, _) = handshake.request.withUnsafeBytes({ server.received($0) }) else {
            Issue.record("the request is not valid")
            return (.needMore, nil)
        }
        var response = String(decoding: request.acceptance, as: UTF8.self)
        if let header { response = response.dropLast() + "Sec-WebSocket-Extensions: \(header)\r\n\r\n" }
        let action = Array(response.utf8).withUnsafeBytes { handshake.received($0) }
        return (action, handshake.compression)
    }

    private func refusal(_ header: String, to options: DeflateOptions?) throws -> String? {
        guard case .failed(let error) = try self.answer(header, to: options).action else { return nil }
        return error.message
    }

    @Test("Without compression nothing is offered and nothing accepted")
    func off() throws {
        let request = String(decoding: try self.handshake(nil).request, as: UTF8.self)
        #expect(!request.contains("Extensions"))
        #expect(try self.refusal("permessage-deflate", to: nil)?.contains("an extension nobody asked for") == true)
    }

    @Test("The offer names what is wanted, and no more")
    func offer() throws {
        func offer(_ options: DeflateOptions) throws -> String? {
            let lines = String(decoding: try self.handshake(options).request, as: UTF8.self).split(separator: "\r\n")
            return lines.first { $0.hasPrefix("Sec-WebSocket-Extensions: ") }.map { String($0.dropFirst(26)) }
        }
        #expect(try offer(DeflateOptions()) == "permessage-deflate; client_max_window_bits")
        #expect(
            try offer(
                DeflateOptions(
                    sendsWithTakeover: false,
                    receivesWithTakeover: false,
                    sendWindowBits: 10,
                    receiveWindowBits: 3
                )
            )
                == "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=8; client_max_window_bits=10"
        )
    }

    @Test("A server may decline, accept, or ask for less")
    func accepted() throws {
        #expect(try self.answer(nil, to: DeflateOptions()).compression == nil)
        #expect(try self.answer("", to: DeflateOptions()).compression == nil)
        #expect(try self.answer("permessage-deflate", to: DeflateOptions()).compression == DeflateAgreement())
        #expect(
            try self.answer(
                #"Permessage-Deflate; server_no_context_takeover;client_no_context_takeover ; server_max_window_bits="10";client_max_window_bits=9"#,
                to: DeflateOptions()
            ).compression
                == DeflateAgreement(
                    sendsWithTakeover: false,
                    receivesWithTakeover: false,
                    sendWindowBits: 9,
                    receiveWindowBits: 10
                )
        )
    }

    @Test(
        "What was not offered, is doubled, unknown or out of range fails the connection",
        arguments: [
            "permessage-deflate; server_max_window_bits=16", "permessage-deflate; server_max_window_bits=7",
            "permessage-deflate; server_max_window_bits=010", "permessage-deflate; server_max_window_bits",
            "permessage-deflate; client_max_window_bits", "permessage-deflate; unknown",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover=1", "permessage-deflate, permessage-deflate",
            "x-webkit-deflate-frame", "permessage-deflate; client_max_window_bits=\"12", "permessage-deflate;;", "=",
            "permessage-deflate client_no_context_takeover", "permessage-deflate; client_max_window_bits=1\u{1}5",
        ]
    )
    func refused(header: String) throws {
        #expect(try self.refusal(header, to: DeflateOptions()) != nil)
    }

    @Test("A limit of the client's that the server does not confirm fails the connection")
    func unconfirmed() throws {
        #expect(try self.refusal("permessage-deflate", to: DeflateOptions(receiveWindowBits: 10)) != nil)
        #expect(try self.refusal("permessage-deflate", to: DeflateOptions(receivesWithTakeover: false)) != nil)
        let own = DeflateOptions(sendsWithTakeover: false, sendWindowBits: 10)
        // Those of its own it keeps, confirmed or not.
        #expect(
            try self.answer("permessage-deflate", to: own).compression
                == DeflateAgreement(sendsWithTakeover: false, sendWindowBits: 10)
        )
    }

    @Test(
        "A server takes the first offer that it can keep to, and says how",
        arguments: [
            ("permessage-deflate", "permessage-deflate"),
            ("permessage-deflate; client_max_window_bits", "permessage-deflate"),
            ("permessage-deflate; client_max_window_bits=10", "permessage-deflate; client_max_window_bits=10"),
            ("permessage-deflate; server_max_window_bits=9", "permessage-deflate; server_max_window_bits=9"),
            (
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
            ),
            (
                "foo, permessage-deflate; bar, permessage-deflate; server_max_window_bits=8",
                "permessage-deflate; server_max_window_bits=8"
            ),
            ("foo", nil), ("permessage-deflate; server_max_window_bits", nil), ("permessage-deflate; =", nil),
        ] as [(String, String?)]
    )
    func server(offer: String, answer: String?) throws {
        let request =
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            + "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Extensions: \(offer)\r\n\r\n"
        var server = ServerHandshake()
        guard case .accepted(let accepted, _) = Array(request.utf8).withUnsafeBytes({ server.received($0) }) else {
            Issue.record("the request is not accepted")
            return
        }
        let (response, agreement) = accepted.acceptance(compression: DeflateOptions())
        let lines = String(decoding: response, as: UTF8.self).split(separator: "\r\n")
        let header = lines.first { $0.hasPrefix("Sec-WebSocket-Extensions: ") }.map { String($0.dropFirst(26)) }
        #expect(header == answer)
        #expect((agreement != nil) == (answer != nil))
    }

    @Test("A server that wants a smaller window of the client passes over one that does not know the parameter")
    func serverWindow() {
        let request =
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            + "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            + "Sec-WebSocket-Extensions: permessage-deflate, permessage-deflate; client_max_window_bits\r\n\r\n"
        var server = ServerHandshake()
        guard case .accepted(let accepted, _) = Array(request.utf8).withUnsafeBytes({ server.received($0) }) else {
            Issue.record("the request is not accepted")
            return
        }
        let (response, agreement) = accepted.acceptance(compression: DeflateOptions(receiveWindowBits: 10))
        #expect(agreement == DeflateAgreement(receiveWindowBits: 10))
        #expect(String(decoding: response, as: UTF8.self).contains("permessage-deflate; client_max_window_bits=10\r\n"))
    }
}
