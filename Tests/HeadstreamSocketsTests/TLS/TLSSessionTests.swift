import Glibc
import HeadstreamTesting
import Testing

@testable import HeadstreamSockets

@Suite("TLS sessions and contexts", .timeLimit(.minutes(15)))
struct TLSSessionTests {
    /// Connects, has one line turned round (with it come the tickets), and ends without a farewell on request.
    /// Returns whether the session was a resumed one, or how it failed.
    private func connect(
        _ loop: EventLoop,
        _ server: OpenSSLServer,
        _ settings: TLSSettings,
        host: String = "localhost",
        cut: Bool = false
    ) async -> Result<Bool, SocketError> {
        let (channel, side) = await loop.connectSecurely(
            port: server.port,
            settings,
            host: host,
            greeting: "hello\n"
        )
        await side.wait { $0.bytes.count == 6 || $0.end != nil }
        return await loop.on {
            defer { channel.close() }
            if case .failed(let error)? = side.end { return .failure(error) }
            guard let socket = channel as? SocketChannel, let engine = socket.tls?.engine else {
                return .failure(.shutDown)
            }
            if cut { shutdown(socket.descriptor, Int32(SHUT_RDWR)) }
            return .success(engine.isResumed)
        }
    }

    @Test("Edge case 103: a session is resumed, and still after a connection that was cut", arguments: [2, 3])
    func resumed(minor: Int) async throws {
        let authority = try TestAuthority()
        let server = try OpenSSLServer(authority.certificate(), "-tls1_\(minor)")
        await withLoop { loop in
            let settings = TLSSettings.trusting(authority)
            #expect(await self.connect(loop, server, settings) == .success(false))
            #expect(await self.connect(loop, server, settings, cut: true) == .success(true))
            #expect(await self.connect(loop, server, settings) == .success(true))
        }
    }

    @Test(
        "Edge case 103: no session is resumed for another name, port, trust or client certificate",
        arguments: [2, 3]
    )
    func notAcross(minor: Int) async throws {
        let authority = try TestAuthority()
        let other = try TestAuthority()
        let certificate = try authority.certificate(for: ["localhost", "127.0.0.1"])
        let server = try OpenSSLServer(certificate, "-tls1_\(minor)")
        try await withLoop { loop in
            let settings = TLSSettings.trusting(authority)
            #expect(await self.connect(loop, server, settings) == .success(false))
            // Both names are the server's, but a session was made for one.
            #expect(await self.connect(loop, server, settings, host: "127.0.0.1") == .success(false))
            // One that is not the server's.
            let wrong = await self.connect(loop, server, settings, host: "node.example")
            #expect(throws: SocketError.self) { try wrong.get() }
            var wider = settings
            wider.trust = .only(.pem(authority.certificatePEM + other.certificatePEM))
            #expect(await self.connect(loop, server, wider) == .success(false))
            var known = settings
            known.identity = try authority.certificate(for: ["me"]).identity
            #expect(await self.connect(loop, server, known) == .success(false))
            let stranger = await self.connect(loop, server, .trusting(other))
            #expect(throws: SocketError.self) { try stranger.get() }
            #expect(await self.connect(loop, server, settings) == .success(true))
        }
    }

    @Test("Edge case 103: a session put under another name is found out after its resumption", arguments: [2, 3])
    func resumedUnderAnotherName(minor: Int) async throws {
        let authority = try TestAuthority()
        let server = try OpenSSLServer(authority.certificate(for: ["localhost"]), "-tls1_\(minor)")
        try await withLoop { loop in
            let settings = TLSSettings.trusting(authority)
            #expect(await self.connect(loop, server, settings) == .success(false))
            let context = try #require(loop.tlsContexts.ready(for: settings))
            let session = try #require(context.sessions.take(for: .init(host: "localhost", port: server.port)))
            for host in ["node.example", "10.0.0.1"] {
                let peer = TLSSessions.Peer(host: host, port: server.port)
                context.sessions.keep(session, for: peer)
                let error = await loop.failure(port: server.port, settings, host: host)
                #expect(error?.tlsFailure == .wrongHost, "\(String(describing: error))")
                #expect(context.sessions.take(for: peer) == nil)
            }
        }
    }

    @Test("The number of sessions kept has a bound, and the oldest gives way")
    func bounded() async throws {
        let authority = try TestAuthority()
        let server = try OpenSSLServer(authority.certificate())
        try await withLoop { loop in
            let settings = TLSSettings.trusting(authority)
            _ = await self.connect(loop, server, settings)
            let context = try #require(loop.tlsContexts.ready(for: settings))
            let session = try #require(context.sessions.take(for: .init(host: "localhost", port: server.port)))
            for index in 0..<TLSSessions.limit + 10 {
                context.sessions.keep(session, for: .init(host: "host-\(index)", port: 443))
            }
            #expect(context.sessions.count == TLSSessions.limit)
            #expect(context.sessions.take(for: .init(host: "host-9", port: 443)) == nil)
            #expect(context.sessions.take(for: .init(host: "host-10", port: 443)) != nil)
        }
    }

    @Test("One context for many connections at once, and another when its file is another")
    func contexts() async throws {
        let authority = try TestAuthority()
        let later = try TestAuthority()
        let server = try OpenSSLServer(authority.certificate())
        let files = try TemporaryFiles()
        let path = try files.write(later.certificatePEM, named: "ca.pem")
        let settings = TLSSettings(trust: .only(.file(path)))
        try await withLoop { loop in
            let made = try await withThrowingTaskGroup(of: TLSContext.self) { group in
                for _ in 0..<20 {
                    group.addTask {
                        try await withCheckedContinuation { continuation in
                            loop.tlsContexts.make(for: settings) { continuation.resume(returning: $0) }
                        }.get()
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(Set(made.map { ObjectIdentifier($0) }).count < 20)
            #expect(await loop.failure(port: server.port, settings)?.tlsFailure == .unknownAuthority)
            _ = try files.write(later.certificatePEM + authority.certificatePEM, named: "ca.pem")
            #expect(await loop.failure(port: server.port, settings) == nil)
        }
    }

    @Test("The number of contexts kept has a bound")
    func contextsBounded() async throws {
        let contexts = TLSContexts()
        let pem = try TestAuthority().certificatePEM
        for index in 0..<TLSContexts.limit + 3 {
            let settings = TLSSettings(trust: .only(.pem("\(pem)\n# \(index)")))
            let result = await withCheckedContinuation { continuation in
                contexts.make(for: settings) { continuation.resume(returning: $0) }
            }
            _ = try result.get()
            #expect(contexts.count == min(index + 1, TLSContexts.limit))
        }
    }

    // MARK: What is trusted

    private func failure(_ trust: TLSSettings.Trust) -> SocketError? {
        do throws(SocketError) {
            _ = try TLSContext(TLSSettings(trust: trust))
            return nil
        } catch {
            return error
        }
    }

    @Test(
        "Edge case 108: SSL_CERT_FILE names a file that is missing, unreadable, empty, or holds none or half a certificate"
    )
    func certFile() throws {
        let files = try TemporaryFiles()
        let authority = try TestAuthority()
        let pem = authority.certificatePEM
        let cases = [
            ("/no/such/file.pem", "no such file"), (files.path, "is a directory"),
            (try files.write(""), "is empty"), (try files.write("not a certificate"), "holds no certificate"),
            (try files.write(authority.certificate().privateKeyPEM), "holds no certificate"),
            (try files.write(pem + pem.prefix(pem.count / 2)), "damaged"),
            (try files.write(pem.replacing("MII", with: "AAA")), "damaged"),
        ]
        for (path, word) in cases {
            let error = self.failure(.system(environment: ["SSL_CERT_FILE": path]))
            #expect(error?.tlsFailure == .trustUnusable, "\(path)")
            #expect(error?.message.contains("SSL_CERT_FILE names \(path)") == true, "\(String(describing: error))")
            #expect(error?.message.contains(word) == true, "\(word): \(String(describing: error))")
            let own = self.failure(.only(.file(path)))
            #expect(own?.tlsFailure == .trustUnusable)
            #expect(own?.message.contains(path) == true)
        }
        if geteuid() != 0 {
            let secret = try files.write(pem)
            chmod(secret, 0)
            #expect(self.failure(.system(file: secret))?.message.contains("permission denied") == true)
        }
        #expect(self.failure(.only(.pem("")))?.tlsFailure == .trustUnusable)
        #expect(self.failure(.system(file: try files.write("# a remark\n" + pem))) == nil)
        // An empty variable is none.
        #expect(TLSSettings.Trust.system(environment: ["SSL_CERT_FILE": "", "SSL_CERT_DIR": ""]) == .system())
    }

    @Test("Edge case 108: SSL_CERT_DIR names a folder that is missing, or in which OpenSSL finds nothing")
    func certDirectory() async throws {
        let files = try TemporaryFiles()
        let authority = try TestAuthority()
        _ = try files.write(authority.certificatePEM, named: "authority.pem")
        let missing = self.failure(.system(directory: "/no/such/folder"))
        #expect(missing?.message.contains("SSL_CERT_DIR names /no/such/folder, which cannot be read") == true)
        let unhashed = self.failure(.system(directory: files.path))
        #expect(unhashed?.tlsFailure == .trustUnusable)
        #expect(unhashed?.message.contains("rehash") == true)
        _ = try files.write(authority.certificatePEM, named: "0a1b2c3d.0")
        let trust = TLSSettings.Trust.system(environment: ["SSL_CERT_DIR": "/no/such/folder:\(files.path)"])
        let server = try OpenSSLServer(authority.certificate())
        await withLoop { loop in
            #expect(await loop.failure(port: server.port, TLSSettings(trust: trust)) == nil)
        }
    }

    @Test("A client certificate that cannot be used: missing, without a key, with another's key, with an encrypted one")
    func clientCertificate() throws {
        let files = try TemporaryFiles()
        let authority = try TestAuthority()
        let mine = try authority.certificate(for: ["me"])
        let other = try authority.certificate(for: ["other"])
        let encrypted = """
            -----BEGIN ENCRYPTED PRIVATE KEY-----
            MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAizL9Zk1uWwsgICCAAw
            DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEJ5nH6Dt4mBc0V2hVQz1mVsEgZA=
            -----END ENCRYPTED PRIVATE KEY-----

            """
        let cases: [(TLSSettings.Identity, String)] = [
            (.init(certificate: .file("/no/such/me.pem")), "no such file"),
            (.init(certificate: .file(try files.write(""))), "holds no certificate"),
            (.init(certificate: .pem(mine.pem)), "holds no private key"),
            (.init(certificate: .pem(mine.pem), key: .file("/no/such/me.key")), "no such file"),
            (.init(certificate: .pem(mine.pem), key: .pem(mine.pem)), "holds no private key"),
            (.init(certificate: .pem(mine.pem), key: .pem(other.privateKeyPEM)), "does not belong"),
            (.init(certificate: .pem(mine.pem), key: .pem(encrypted)), "private key"),
        ]
        for (identity, word) in cases {
            let trust = TLSSettings.Trust.only(.pem(authority.certificatePEM))
            let error = #expect(throws: SocketError.self) {
                try TLSContext(TLSSettings(trust: trust, identity: identity))
            }
            #expect(error?.tlsFailure == .certificateUnusable)
            #expect(error?.message.contains(word) == true, "\(word): \(String(describing: error))")
            #expect(error?.message.contains("BEGIN") == false)
        }
        let trust = TLSSettings.Trust.only(.pem(authority.certificatePEM))
        let together = TLSSettings.Identity(certificate: .file(try files.write(mine.privateKeyPEM + mine.pem)))
        _ = try TLSContext(TLSSettings(trust: trust, identity: together))
    }
}
