import Headstream
import HeadstreamSockets

extension TestNode.Transport {
    /// Where to listen; `name` is part of a Unix socket's that has none.
    func address(named name: String) -> SocketAddress {
        switch self {
        case .webSocket(let port), .secureWebSocket(let port, _): .host("127.0.0.1", port: port)
        case .ipc(let path): .unix(path: path ?? "@headstream-\(name)-\(UInt64.random(in: 0...(.max)))")
        }
    }

    /// With a certificate, if it needs one and has none.
    func withCertificate() throws(Web3Error) -> Self {
        guard case .secureWebSocket(let port, nil) = self else { return self }
        return .secureWebSocket(port: port, certificate: try TestAuthority().certificate())
    }

    /// The server's side of TLS, where there is TLS.
    func tlsServer() throws(SocketError) -> TLSServer? {
        guard case .secureWebSocket(_, let certificate?) = self else { return nil }
        return try TLSServer(certificate.identity)
    }

    /// What a client must trust; nil without TLS.
    var trustRoots: TLSConfiguration.TrustRoots? {
        guard case .secureWebSocket(_, let certificate?) = self else { return nil }
        return certificate.trustRoots
    }

    /// What clients connect to.
    func endpoint(at address: SocketAddress) throws(SocketError) -> Endpoint {
        do throws(Web3Error) {
            switch (self, address) {
            case (_, .unix(let path)): return .ipc(path)
            case (.secureWebSocket, .host): return try Endpoint("wss://\(address)")
            case (_, .host): return try Endpoint("ws://\(address)")
            }
        } catch {
            throw SocketError(.invalidAddress, message: error.message)
        }
    }
}
