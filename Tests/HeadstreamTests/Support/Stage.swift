import Headstream
import HeadstreamSockets
import HeadstreamTesting
import Testing

extension Configuration {
    /// For real sockets, where nothing is to depend on how fast the machine is; tests of timeouts set their own.
    static func patient(on loop: EventLoop = .shared) -> Configuration {
        var configuration = Configuration()
        configuration.eventLoop = loop
        configuration.connectTimeout = .seconds(3600)
        configuration.requestTimeout = .seconds(3600)
        configuration.keepalive = .off
        return configuration
    }
}

/// Where a test's client and server meet: the same test runs on each.
enum Stage: Sendable, CaseIterable, CustomTestStringConvertible {
    /// A simulated loop with the order of a seed, time moving by itself.
    case simulated
    /// A real socket on loopback, on an event loop of the test's own.
    case webSocket
    /// The same over TLS.
    case secureWebSocket
    case ipc

    var testDescription: String { "\(self)" }

    static let webSockets: [Stage] = [.simulated, .webSocket, .secureWebSocket]
    /// What servers of ``secureWebSocket`` show.
    static let certificate = Result { try TestAuthority().certificate() }

    /// Starts a server with a script, connects to it, and runs the test; ends both and the loop.
    func run(
        seed: UInt64? = 1,
        upgrade: ScriptedServer.Upgrade = .accept,
        configure: @escaping @Sendable (inout Configuration) -> Void = { _ in },
        script: @escaping ScriptedServer.Script = { $0.answerAsUsual($1) },
        _ body: @escaping @Sendable (Web3, ScriptedServer) async throws -> Void
    ) async throws {
        try await self.serve(seed: seed, upgrade: upgrade, script: script) { server, configuration in
            var configuration = configuration
            configure(&configuration)
            let web3 = try await Web3.connect(to: await server.endpoint, configuration: configuration)
            try await body(web3, server)
            await web3.close()
        }
    }

    /// The same without connecting.
    func serve(
        seed: UInt64? = 1,
        host: String = "127.0.0.1",
        upgrade: ScriptedServer.Upgrade = .accept,
        script: @escaping ScriptedServer.Script = { $0.answerAsUsual($1) },
        _ body: @escaping @Sendable (ScriptedServer, Configuration) async throws -> Void
    ) async throws {
        let isIPC = self == .ipc
        let certificate = self == .secureWebSocket ? try Self.certificate.get() : nil
        @Sendable func play(_ loop: any Loop, _ configuration: Configuration) async throws {
            var configuration = configuration
            // Tests of a connection's end want to see it; those of reconnecting set their own.
            configuration.reconnect = .never
            let server = try await ScriptedServer(
                on: loop,
                isIPC: isIPC,
                host: host,
                certificate: certificate,
                upgrade: upgrade,
                script: script
            )
            do {
                try await body(server, configuration)
                await server.close()
            } catch {
                await server.close()
                throw error
            }
        }
        if self == .simulated {
            let loops = Recorder<SimulatedLoop>()
            do {
                try await SimulatedLoop.run(seed: seed) { loop in
                    loops.append(loop)
                    loop.keepsTrace = true
                    try await play(loop, loop.configuration)
                }
            } catch let error as SimulationError {
                // Where it stood; the run is over, so the trace is nobody else's.
                let steps = loops.all.first?.trace.suffix(40).joined(separator: "\n") ?? ""
                Issue.record(error, "seed \(seed.map { "\($0)" } ?? "none"), its last steps:\n\(steps)")
            }
        } else {
            let loop = EventLoop(name: "stage", userTimeout: 0)
            var configuration = Configuration.patient(on: loop)
            if let certificate { configuration.tls.trustRoots = certificate.trustRoots }
            do {
                try await play(loop, configuration)
                await loop.shutdown()
            } catch {
                await loop.shutdown()
                throw error
            }
        }
    }
}
