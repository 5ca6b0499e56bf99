import HeadstreamLocks
import HeadstreamTesting
import Testing

@testable import HeadstreamSockets

extension TLSSettings {
    static func trusting(_ certificate: TestCertificate, identity: TestCertificate? = nil) -> Self {
        TLSSettings(trust: .only(.pem(certificate.authorityPEM)), identity: identity?.identity)
    }

    static func trusting(_ authority: TestAuthority) -> Self {
        TLSSettings(trust: .only(.pem(authority.certificatePEM)))
    }
}

extension EventLoop {
    /// Connects, goes over to TLS once the socket stands, and says `greeting` once it is secured.
    func connectSecurely(
        port: UInt16,
        _ settings: TLSSettings,
        host: String = "localhost",
        greeting: String = ""
    ) async -> (channel: any Channel, side: Recorder) {
        let side = Recorder(self)
        let channel = await self.on {
            side.onSecured = { $0.write(greeting) }
            side.onOpen = { $0.startTLS(TLSClient(settings: settings, host: host, port: port)) }
            return self.connect(to: .host("127.0.0.1", port: port), delegate: side)
        }
        return (channel, side)
    }

    /// How a handshake that must fail fails.
    func failure(port: UInt16, _ settings: TLSSettings, host: String = "localhost") async -> SocketError? {
        let (channel, side) = await self.connectSecurely(port: port, settings, host: host)
        await side.wait { $0.isSecured || $0.end != nil }
        let end = await self.on {
            channel.close()
            return side.end
        }
        if case .failed(let error)? = end { return error }
        return nil
    }
}

extension SocketError {
    var tlsFailure: TLSFailure? {
        if case .tls(let failure) = self.code { failure } else { nil }
    }
}

/// A client and a server channel of one TLS connection on one loop.
struct TLSPair: Sendable {
    let client: any Channel
    let clientSide: Recorder
    let server: any Channel
    let serverSide: Recorder

    /// - Parameter settings: the client's; those that trust the server's certificate, if nil.
    static func make(_ loop: EventLoop, settings: TLSSettings? = nil) async throws -> TLSPair {
        let certificate = try TestAuthority().certificate()
        let server = try TLSServer(certificate.identity)
        return try await Self.make(loop, server, settings ?? .trusting(certificate))
    }

    static func make(_ loop: EventLoop, _ server: TLSServer, _ settings: TLSSettings) async throws -> TLSPair {
        let accepted = Locked<(any Channel)?>(nil)
        let serverSide = Recorder(loop)
        let listener = try await loop.onThrowing {
            try loop.listen(on: .host("127.0.0.1", port: 0), tls: server) { channel in
                accepted.withLock { $0 = channel }
                return serverSide
            }
        }
        let (client, clientSide) = await loop.connectSecurely(port: listener.address.port, settings)
        await clientSide.wait { $0.isSecured || $0.end != nil }
        try #require(await loop.on { clientSide.end } == nil)
        await serverSide.wait { $0.isSecured }
        await loop.on { listener.close() }
        let channel = try #require(accepted.withLock { $0 })
        return TLSPair(client: client, clientSide: clientSide, server: channel, serverSide: serverSide)
    }

    /// The client's engine.
    var engine: TLSEngine? { (self.client as? SocketChannel)?.tls?.engine }
}
