import Foundation
import Glibc
import HeadstreamTesting
import Testing

@testable import HeadstreamSockets

/// Each way a handshake fails, against OpenSSL's own server.
@Suite("TLS handshakes", .timeLimit(.minutes(15)))
struct TLSHandshakeTests {
    @Test("A server with a certificate of a trusted authority is spoken to, over TLS 1.2 and 1.3", arguments: [2, 3])
    func connects(minor: Int) async throws {
        let authority = try TestAuthority()
        let server = try OpenSSLServer(authority.certificate(), "-tls1_\(minor)")
        await withLoop { loop in
            let (channel, side) = await loop.connectSecurely(port: server.port, .trusting(authority))
            await side.wait { $0.isSecured || $0.end != nil }
            await loop.on { channel.write("hello\n") }
            await side.wait { $0.bytes.count == 6 || $0.end != nil }
            #expect(await loop.on { String(decoding: side.bytes, as: UTF8.self) } == "olleh\n")
            await loop.on { channel.close() }
        }
    }

    @Test("An authority that is not trusted")
    func unknownAuthority() async throws {
        let server = try OpenSSLServer(TestAuthority(named: "Somebody's own").certificate())
        let other = try TestAuthority()
        await withLoop { loop in
            let error = await loop.failure(port: server.port, .trusting(other))
            #expect(error?.tlsFailure == .unknownAuthority)
            #expect(error?.message.contains("Somebody's own") == true, "\(String(describing: error))")
            // Neither does the system know it, and nothing but the settings decides.
            let system = await loop.failure(port: server.port, TLSSettings(trust: .system()))
            #expect(system?.tlsFailure == .unknownAuthority || system?.tlsFailure == .trustUnusable)
        }
    }

    @Test("A certificate for other names, and one for other addresses")
    func wrongHost() async throws {
        let authority = try TestAuthority()
        let server = try OpenSSLServer(authority.certificate(for: ["node.example", "*.node.example", "10.0.0.1"]))
        await withLoop { loop in
            for host in ["localhost", "127.0.0.1", "a.b.node.example", "example"] {
                let error = await loop.failure(port: server.port, .trusting(authority), host: host)
                #expect(error?.tlsFailure == .wrongHost, "\(host): \(String(describing: error))")
                #expect(error?.message.contains("node.example, *.node.example, 10.0.0.1") == true)
                #expect(error?.message.contains(host) == true)
            }
            for host in ["node.example", "NODE.example", "node.example.", "a.node.example", "10.0.0.1"] {
                let error = await loop.failure(port: server.port, .trusting(authority), host: host)
                #expect(error == nil, "\(host)")
            }
        }
    }

    @Test("An address is looked for among the certificate's addresses and not its names, IPv6 without its zone")
    func addresses() async throws {
        let authority = try TestAuthority()
        let named = try OpenSSLServer(authority.certificate(for: ["localhost", "fe80::1"]))
        await withLoop { loop in
            let error = await loop.failure(port: named.port, .trusting(authority), host: "127.0.0.1")
            #expect(error?.tlsFailure == .wrongHost)
            #expect(await loop.failure(port: named.port, .trusting(authority), host: "fe80::1%lo") == nil)
            #expect(await loop.failure(port: named.port, .trusting(authority), host: "fe80:0:0::1") == nil)
            let other = await loop.failure(port: named.port, .trusting(authority), host: "fe80::2")
            #expect(other?.tlsFailure == .wrongHost)
        }
    }

    @Test("Names that stand for more than themselves are refused", arguments: ["", ".", ".example", "a\0b"])
    func oddNames(host: String) async throws {
        let authority = try TestAuthority()
        let server = try OpenSSLServer(authority.certificate(for: ["node.example"]))
        await withLoop { loop in
            let error = await loop.failure(port: server.port, .trusting(authority), host: host)
            #expect(error?.code == .invalidAddress)
        }
    }

    @Test("A certificate that has expired, and one that is not valid yet")
    func validity() async throws {
        let authority = try TestAuthority()
        let expired = try authority.certificate(validity: .seconds(-86_400 * 400) ... .seconds(-86_400 * 30))
        let early = try authority.certificate(validity: .seconds(86_400 * 30) ... .seconds(86_400 * 60))
        try await withLoop { loop in
            var server = try OpenSSLServer(expired)
            var error = await loop.failure(port: server.port, .trusting(authority))
            #expect(error?.tlsFailure == .expired)
            #expect(error?.message.contains(/expired on 20\d\d-\d\d-\d\d/) == true, "\(String(describing: error))")
            server = try OpenSSLServer(early)
            error = await loop.failure(port: server.port, .trusting(authority))
            #expect(error?.tlsFailure == .notYetValid)
            #expect(error?.message.contains(/from 20\d\d-\d\d-\d\d on/) == true, "\(String(describing: error))")
        }
    }

    @Test("A self-signed certificate is refused, and accepted where it is the one to trust")
    func selfSigned() async throws {
        let certificate = try TestAuthority.selfSigned(for: ["localhost"])
        let server = try OpenSSLServer(certificate)
        let other = try TestAuthority()
        await withLoop { loop in
            let error = await loop.failure(port: server.port, .trusting(other))
            #expect(error?.tlsFailure == .selfSigned, "\(String(describing: error))")
            #expect(await loop.failure(port: server.port, .trusting(certificate)) == nil)
        }
    }

    @Test("A chain may end at any certificate that is trusted, and needs what lies between (as curl has it)")
    func partialChains() async throws {
        let root = try TestAuthority(named: "root")
        let between = try root.intermediate(named: "between")
        let leaf = try between.certificate()
        let whole = TestCertificate(
            pem: leaf.pem + between.certificatePEM,
            privateKeyPEM: leaf.privateKeyPEM,
            authorityPEM: root.certificatePEM
        )
        try await withLoop { loop in
            let short = try OpenSSLServer(leaf)
            #expect(await loop.failure(port: short.port, .trusting(between)) == nil)
            #expect(await loop.failure(port: short.port, .trusting(root))?.tlsFailure == .unknownAuthority)
            let leafAlone = TLSSettings(trust: .only(.pem(leaf.pem)))
            #expect(await loop.failure(port: short.port, leafAlone) == nil)
            let long = try OpenSSLServer(whole)
            #expect(await loop.failure(port: long.port, .trusting(root)) == nil)
        }
    }

    @Test("A server that speaks TLS 1.1 at most")
    func protocolTooOld() async throws {
        let authority = try TestAuthority()
        let server = try OpenSSLServer(authority.certificate(), "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
        await withLoop { loop in
            let error = await loop.failure(port: server.port, .trusting(authority))
            #expect(error?.tlsFailure == .protocolTooOld, "\(String(describing: error))")
        }
    }

    @Test(
        "A server that answers in plain HTTP, in another protocol, in drops, or with an old ServerHello",
        arguments: [
            ("HTTP/1.1 400 Bad Request\r\n\r\n", TLSFailure.plainHTTP), ("H", .plainHTTP),
            ("SSH-2.0-OpenSSH_9.2\r\n", .notTLS), ("\0", .notTLS),
            // A ServerHello of TLS 1.0, in a record of its own.
            (
                "\u{16}\u{3}\u{1}\0\u{2a}\u{2}\0\0\u{26}\u{3}\u{1}" + String(repeating: "r", count: 32)
                    + "\0\0\u{2f}\0", .protocolTooOld
            ),
        ]
    )
    func notTLS(answer: String, expected: TLSFailure) async throws {
        try await Self.withRawServer(Array(answer.utf8)) { loop, port in
            let error = await loop.failure(
                port: port,
                TLSSettings(trust: .only(.pem(try TestAuthority().certificatePEM)))
            )
            #expect(error?.tlsFailure == expected, "\(String(describing: error))")
            if expected == .plainHTTP { #expect(error?.message.contains("use ws://") == true) }
        }
    }

    @Test("A connection that ends or is reset in the handshake, at once or in the middle", arguments: [0, 1, 2])
    func cut(kind: Int) async throws {
        // Half of a record.
        let answer: [UInt8] = kind == 0 ? [] : [22, 3, 3, 0, 100, 2, 0, 0]
        try await Self.withRawServer(answer, resets: kind == 2) { loop, port in
            let error = await loop.failure(
                port: port,
                TLSSettings(trust: .only(.pem(try TestAuthority().certificatePEM)))
            )
            #expect(error?.tlsFailure == .cut, "\(String(describing: error))")
        }
    }

    /// A server that waits for the hello, answers with bytes, and ends.
    private static func withRawServer(
        _ answer: [UInt8],
        resets: Bool = false,
        _ body: (EventLoop, UInt16) async throws -> Void
    ) async throws {
        let (listener, port) = Raw.listen()
        let thread = Thread {
            let client = accept(listener, nil, nil)
            var hello = [UInt8](repeating: 0, count: 4096)
            _ = recv(client, &hello, hello.count, 0)
            _ = send(client, answer, answer.count, Int32(MSG_NOSIGNAL))
            if resets { Raw.reset(client) } else { close(client) }
            close(listener)
        }
        thread.start()
        try await withLoop { try await body($0, port) }
    }

    @Test("A client certificate: wanted, wrong and right", arguments: [2, 3])
    func clientCertificates(minor: Int) async throws {
        let authority = try TestAuthority()
        let strangers = try TestAuthority(named: "strangers")
        let files = try TemporaryFiles()
        let path = try files.write(authority.certificatePEM)
        let server = try OpenSSLServer(
            authority.certificate(),
            "-Verify",
            "1",
            "-CAfile",
            path,
            "-verify_return_error",
            "-tls1_\(minor)"
        )
        let mine = try authority.certificate(for: ["me"])
        let theirs = try strangers.certificate(for: ["them"])
        let trust = TLSSettings.Trust.only(.pem(authority.certificatePEM))
        await withLoop { loop in
            for (identity, isAccepted) in [(nil, false), (theirs.identity, false), (mine.identity, true)] {
                let settings = TLSSettings(trust: trust, identity: identity)
                // With TLS 1.3 the verdict comes after the handshake.
                let (channel, side) = await loop.connectSecurely(port: server.port, settings, greeting: "hello\n")
                await side.wait { $0.bytes.count == 6 || $0.end != nil }
                let end = await loop.on { side.end }
                if isAccepted {
                    #expect(end == nil)
                } else if case .failed(let error)? = end {
                    let isTold = error.tlsFailure == .clientCertificateRefused
                    // TLS 1.2 has no word for a certificate that is missing.
                    #expect(isTold || minor == 2 && error.tlsFailure == .handshakeFailed, "\(error)")
                    #expect(error.message.contains("certificate"))
                } else {
                    Issue.record("\(String(describing: end))")
                }
                await loop.on { channel.close() }
            }
        }
    }

    @Test("A server that a wss endpoint would find, and no common cipher")
    func noCommonCipher() async throws {
        let authority = try TestAuthority()
        let server = try OpenSSLServer(authority.certificate(), "-tls1_2", "-cipher", "NULL:@SECLEVEL=0")
        await withLoop { loop in
            let error = await loop.failure(port: server.port, .trusting(authority))
            #expect(error?.tlsFailure == .handshakeFailed, "\(String(describing: error))")
        }
    }

    @Test("The hello names names and no addresses, and the protocol http/1.1")
    func hello() async throws {
        let pem = try TestAuthority().certificatePEM
        for (host, isNamed) in [("node.example", true), ("127.0.0.1", false), ("::1", false)] {
            let (listener, port) = Raw.listen()
            await withLoop { loop in
                let settings = TLSSettings(trust: .only(.pem(pem)))
                let (channel, side) = await loop.connectSecurely(port: port, settings, host: host)
                await side.wait { $0.isOpen }
                let client = accept(listener, nil, nil)
                var hello = [UInt8](repeating: 0, count: 4096)
                let count = recv(client, &hello, hello.count, 0)
                let text = String(decoding: hello.prefix(max(0, count)), as: UTF8.self)
                #expect(text.contains(host) == isNamed)
                #expect(text.contains("http/1.1"))
                await loop.on { channel.close() }
                close(client)
            }
            close(listener)
        }
    }
}
