import HeadstreamSockets
import HeadstreamTesting
import Testing

@testable import Headstream

@Suite("Connecting", .timeLimit(.minutes(15)))
struct ConnectTests {
    @Test("One deadline from the name to the 101: a server that accepts and says nothing", arguments: [nil, 4])
    func silentServer(seed: UInt64?) async throws {
        try await Stage.simulated.serve(seed: seed, upgrade: .silence) { server, configuration in
            let loop = try #require(configuration.loop)
            let before = loop.now
            let error = await failure {
                _ = try await Web3.connect(to: await server.endpoint, configuration: configuration)
            }
            #expect(error?.code == .timedOut)
            #expect(loop.now.since(before) == .seconds(30))
            await server.until { $0.ended == 1 }
        }
    }

    @Test("A handshake that comes in drops past the deadline is given up at the deadline")
    func slowHandshake() async throws {
        try await Stage.simulated.serve(upgrade: .answer("HTTP/1.1 101 Switching")) { server, configuration in
            var configuration = configuration
            configuration.connectTimeout = .seconds(3)
            let loop = try #require(configuration.loop)
            let before = loop.now
            let error = await failure {
                _ = try await Web3.connect(to: await server.endpoint, configuration: configuration)
            }
            #expect(error?.code == .timedOut)
            #expect(loop.now.since(before) == .seconds(3))
        }
    }

    @Test("Nobody listens: refused, with the endpoint in the message", arguments: Stage.allCases)
    func refused(stage: Stage) async throws {
        try await stage.serve { server, configuration in
            let endpoint = await server.endpoint
            await server.close()
            let error = await failure { _ = try await Web3.connect(to: endpoint, configuration: configuration) }
            #expect(error?.code == .cannotConnect)
            #expect(error?.message.contains("\(endpoint)") == true, "\(String(describing: error))")
        }
    }

    @Test("A path where no socket is, one over 107 bytes, a file that is no socket, and an unknown name")
    func unusableAddresses() async throws {
        let missing = await failure { _ = try await Web3.connect(to: "/tmp/headstream-no-such-directory/geth.ipc") }
        #expect(missing?.code == .cannotConnect)
        let long = await failure { _ = try await Web3.connect(to: .ipc("/" + String(repeating: "x", count: 120))) }
        #expect(long?.code == .invalidEndpoint)
        #expect(long?.message.contains("107") == true)
        let file = await failure { _ = try await Web3.connect(to: .ipc("/etc/hostname")) }
        #expect(file?.code == .cannotConnect)
        let name = await failure { _ = try await Web3.connect(to: "ws://no-such-host.invalid:1") }
        #expect(name?.code == .cannotConnect)
        let literal = await failure { _ = try await Web3.connect(to: "http://127.0.0.1:8545") }
        #expect(literal?.code == .invalidEndpoint)
    }

    @Test(
        "A wrong accept key, an extension nobody asked for, and no HTTP at all",
        arguments: [
            "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAA\r\n\r\n",
            "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            "SSH-2.0-OpenSSH_9.2\r\n",
            "HTTP/1.1 101 X\r\nX: " + String(repeating: "y", count: 1_000_000) + "\r\n\r\n",
        ]
    )
    func wrongHandshakes(answer: String) async throws {
        for stage in Stage.webSockets {
            try await stage.serve(upgrade: .answer(answer)) { server, configuration in
                let error = await failure {
                    _ = try await Web3.connect(to: await server.endpoint, configuration: configuration)
                }
                #expect(error?.code == .protocolViolation, "\(String(describing: error))")
                await server.until { $0.ended == 1 }
            }
        }
    }

    @Test(
        "Edge case 112: a header or path with a line break is refused before anything is sent",
        arguments: [
            ("X-Key", "a\r\nX-Evil: 1"), ("X\nEvil", "1"), ("X-Key", "a\0"), ("Host", "evil"), ("Upgrade", "h2c"),
            ("Sec-WebSocket-Key", "x"),
        ]
    )
    func headerInjection(name: String, value: String) async throws {
        try await Stage.webSocket.serve { server, configuration in
            var configuration = configuration
            configuration.headers = [(name, value)]
            let error = await failure {
                _ = try await Web3.connect(to: await server.endpoint, configuration: configuration)
            }
            #expect(error?.code == .invalidArgument)
            #expect(error?.message.contains("evil") == false)
            #expect(await server.log.connections == 0)
        }
    }

    @Test("Cancelled before connecting, while connecting and while the handshake is awaited", arguments: [0, 1, 2])
    func cancelled(stageOfConnecting: Int) async throws {
        for stage in Stage.webSockets {
            try await stage.serve(upgrade: .silence) { server, configuration in
                let endpoint = await server.endpoint
                await withTaskGroup(of: Web3Error.Code?.self) { group in
                    if stageOfConnecting == 0 { group.cancelAll() }
                    group.addTask {
                        await failure { _ = try await Web3.connect(to: endpoint, configuration: configuration) }?.code
                    }
                    if stageOfConnecting == 1 { group.cancelAll() }
                    if stageOfConnecting == 2 {
                        await server.until { $0.connections == 1 }
                        group.cancelAll()
                    }
                    for await code in group { #expect(code == .cancelled) }
                }
                if stageOfConnecting == 0 { #expect(await server.log.connections == 0) }
                if let loop = configuration.loop as? EventLoop {
                    await server.close()
                    await eventually { await server.openSockets(of: loop) == 0 }
                }
            }
        }
    }

    @Test("Closed during the handshake: connecting fails, and nothing is left", arguments: Stage.webSockets)
    func closedDuringHandshake(stage: Stage) async throws {
        try await stage.serve(upgrade: .silence) { server, configuration in
            let session = Session(to: await server.endpoint, configuration: configuration)
            await withTaskGroup(of: Web3Error.Code?.self) { group in
                group.addTask { await failure { try await session.connection.open() }?.code }
                await server.until { $0.connections == 1 }
                await session.connection.close()
                for await code in group { #expect(code == .connectionClosed) }
            }
            await server.until { $0.ended == 1 }
        }
    }

    @Test("Closed before it was opened, it connects no more", arguments: Stage.allCases)
    func closedBeforeOpened(stage: Stage) async throws {
        try await stage.serve { server, configuration in
            let session = Session(to: await server.endpoint, configuration: configuration)
            await session.connection.close()
            #expect(await failure { try await session.connection.open() }?.code == .connectionClosed)
            #expect(await server.log.connections == 0)
        }
    }

    @Test("IPv6, as an address in brackets")
    func ipv6() async throws {
        try await Stage.webSocket.serve(host: "::1") { server, configuration in
            let endpoint = await server.endpoint
            #expect("\(endpoint)".hasPrefix("ws://[::1]:"))
            let web3 = try await Web3.connect(to: endpoint, configuration: configuration)
            #expect(try await web3.eth.chainID() == 1)
            await web3.close()
        }
    }

    @Test("A loop that was shut down connects nothing and loses nothing")
    func shutDownLoop() async throws {
        let loop = EventLoop(name: "ended", userTimeout: 0)
        let configuration = Configuration.patient(on: loop)
        let server = try await ScriptedServer(on: EventLoop.shared)
        let web3 = try await Web3.connect(to: await server.endpoint, configuration: configuration)
        let stream = try await web3.subscribe(NumbersRequest())
        await loop.shutdown()
        #expect(await failure { _ = try await web3.eth.chainID() }?.code == .connectionClosed)
        #expect(await failure { for try await _ in stream {} }?.code == .connectionClosed)
        await web3.close()
        let error = await failure {
            _ = try await Web3.connect(to: await server.endpoint, configuration: configuration)
        }
        #expect(error?.code == .cannotConnect)
        await server.close()
    }
}
