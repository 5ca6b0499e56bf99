import EthereumTypes
import Headstream
import Testing

@testable import HeadstreamTesting

@Suite("Several nodes of a simulated chain", .timeLimit(.minutes(5)))
struct SharedChainTests {
    /// Two nodes of one chain at block 100 and a client of each, in virtual time.
    private static func play(
        seed: UInt64,
        requestTimeout: Duration = .seconds(30),
        _ body: @escaping @Sendable ([TestNode], [Web3]) async throws -> Void
    ) async throws {
        try await SimulatedLoop.run(seed: seed) { loop in
            let first = try await TestNode(chain: SimulatedChain(seed: seed, number: 100), loop: loop)
            let nodes = [first, try await TestNode(sharing: first, on: .ipc())]
            var configuration = loop.configuration
            configuration.requestTimeout = requestTimeout
            var clients: [Web3] = []
            for node in nodes {
                clients.append(try await Web3.connect(to: node.endpoint, configuration: configuration))
            }
            try await body(nodes, clients)
            for client in clients { await client.close() }
            for node in nodes { await node.close() }
        }
    }

    @Test("Each pushes what is done to the chain, by whichever it is done; one that is stopped leaves it to the others")
    func sharing() async throws {
        try await Self.play(seed: 1) { nodes, clients async throws in
            var one = try await clients[0].eth.subscribe(.newHeads).makeAsyncIterator()
            var two = try await clients[1].eth.subscribe(.newHeads).makeAsyncIterator()
            for node in nodes {
                let mined = await node.change { $0.mine() }
                #expect(try await one.next() == mined.header)
                #expect(try await two.next() == mined.header)
            }
            await nodes[0].stop()
            let mined = await nodes[0].change { $0.mine() }
            #expect(try await two.next() == mined.header)
            #expect(try await clients[1].eth.blockNumber() == 103)
            #expect(nodes[1].chain.head.hash == nodes[0].chain.head.hash)
        }
    }

    @Test("A node that is let go of is not kept by the chain that it shared")
    func lettingGo() async throws {
        try await SimulatedLoop.run(seed: 2) { loop in
            let chain = SharedChain(SimulatedChain(seed: 2))
            do {
                let server = NodeServer(nil, chain: chain, Faults(), loop: loop)
                #expect(chain.nodes.count == 1)
                withExtendedLifetime(server) {}
            }
            #expect(chain.nodes.isEmpty)
        }
    }

    @Test("A mute node answers and pushes nothing, and the other one of the chain does")
    func mute() async throws {
        try await Self.play(seed: 3) { nodes, clients async throws in
            var one = try await clients[0].eth.subscribe(.newHeads).makeAsyncIterator()
            var two = try await clients[1].eth.subscribe(.newHeads).makeAsyncIterator()
            await nodes[0].use(NodeQuirks(isMute: true))
            let unheard = await nodes[0].change { $0.mine() }
            #expect(try await two.next() == unheard.header)
            #expect(try await clients[0].eth.blockNumber() == 101)
            await nodes[0].use(NodeQuirks())
            let heard = await nodes[0].change { $0.mine() }
            #expect(try await one.next() == heard.header)
        }
    }

    @Test("A deaf node takes requests and does not answer them")
    func deaf() async throws {
        try await Self.play(seed: 4, requestTimeout: .seconds(3)) { nodes, clients async throws in
            await nodes[0].use(NodeQuirks(isDeaf: true))
            let error = await #expect(throws: Web3Error.self) { try await clients[0].eth.blockNumber() }
            #expect(error?.code == .timedOut)
            #expect(await nodes[0].requests["eth_blockNumber"] == 1)
            #expect(try await clients[1].eth.blockNumber() == 100)
            await nodes[0].use(NodeQuirks())
            #expect(try await clients[0].eth.blockNumber() == 100)
        }
    }

    @Test("A node that stops at a block knows nothing above it; let go on, it announces its newest block")
    func stopping() async throws {
        try await Self.play(seed: 5) { nodes, clients async throws in
            let web3 = clients[0]
            var heads = try await web3.eth.subscribe(.newHeads).makeAsyncIterator()
            await nodes[0].use(NodeQuirks(stopsAt: 101))
            let events = [SimulatedEvent(address: SimulatedChain.address(0))]
            let mined = await nodes[0].change { chain in (0..<4).map { _ in chain.mine(events) } }
            #expect(try await heads.next() == mined[0].header)
            #expect(try await web3.eth.blockNumber() == 101)
            #expect(try await web3.eth.block(.latest)?.hash == mined[0].hash)
            #expect(try await web3.eth.block(.number(102)) == nil)
            #expect(try await web3.eth.block(hash: mined[1].hash) == nil)
            let filter = LogFilter(blocks: .range(from: .number(100), to: .number(104)))
            #expect(try await web3.eth.getLogs(filter) == mined[0].logs)
            #expect(try await clients[1].eth.getLogs(filter) == mined.flatMap(\.logs))
            await nodes[0].use(NodeQuirks(stopsAt: 103))
            #expect(try await heads.next() == mined[2].header)
            await nodes[0].use(NodeQuirks())
            #expect(try await heads.next() == mined[3].header)
            await nodes[0].use(NodeQuirks(stopsAt: 99))
            #expect(try await web3.eth.block(.latest) == nil)
        }
    }

    @Test("A node tells the chain id that it is given")
    func chainID() async throws {
        try await Self.play(seed: 6) { nodes, clients async throws in
            await nodes[0].use(NodeQuirks(chainID: 5))
            #expect(try await clients[0].eth.chainID() == 5)
            #expect(try await clients[0].request("net_version", as: String.self) == "5")
            #expect(try await clients[1].eth.chainID() == 31337)
        }
    }

    @Test("Connections are counted, and requests by their method and the word they begin with")
    func counts() async throws {
        try await Self.play(seed: 7) { nodes, clients async throws in
            let heads = try await clients[0].eth.subscribe(.newHeads)
            _ = try await clients[0].eth.block(.latest)
            _ = try await clients[0].eth.block(.number(100))
            #expect(await nodes[0].requests(of: "eth_subscribe", "newHeads") == 1)
            #expect(await nodes[0].requests(of: "eth_getBlockByNumber", "latest") == 1)
            #expect(await nodes[0].requests(of: "eth_getBlockByNumber", "0x64") == 0)
            #expect(await nodes[0].requests["eth_getBlockByNumber"] == 2)
            #expect(await nodes[0].connections == 1)
            withExtendedLifetime(heads) {}
        }
    }

    @Test("What is the word of parameters, and what is none")
    func words() {
        func word(_ params: String) -> String? { WireMessage(Array(params.utf8)).firstWord(0..<params.utf8.count) }
        #expect(word(#"["latest",false]"#) == "latest")
        #expect(word(#"[ "newHeads" ]"#) == "newHeads")
        for params in [
            #"["0x1"]"#, #"[{"a":"b"}]"#, #"{"a":"b"}"#, "[]", "", "[", #"["#, #"[""]"#, #"["a"#, #"["a b"]"#,
        ] {
            #expect(word(params) == nil, "\(params)")
        }
        #expect(word("[\"" + String(repeating: "a", count: 100) + "\"]") == nil)
    }
}
