import EthereumTypes
import Headstream
import Testing

@testable import HeadstreamTesting

@Suite("A node of a simulated chain", .timeLimit(.minutes(5)))
struct ChainNodeTests {
    @Test(
        "Over every transport: requests are answered from the chain, what is mined is pushed to whom it concerns",
        arguments: [
            TestNode.Transport.webSocket(), .secureWebSocket(), .ipc(),
        ]
    )
    func transports(transport: TestNode.Transport) async throws {
        let node = try await TestNode(chain: SimulatedChain(seed: 1), on: transport)
        var configuration = Configuration()
        if let roots = node.trustRoots { configuration.tls.trustRoots = roots }
        let web3 = try await Web3.connect(to: node.endpoint, configuration: configuration)
        let filter = LogFilter(address: SimulatedChain.address(3))
        var heads = try await web3.eth.subscribe(.newHeads).makeAsyncIterator()
        var logs = try await web3.eth.subscribe(.logs(filter)).makeAsyncIterator()
        let mined = await node.change { chain in
            chain.mine([3, 4, 3].map { SimulatedEvent(address: SimulatedChain.address($0)) })
        }
        #expect(try await heads.next() == mined.header)
        for index in [0, 2] { #expect(try await logs.next() == mined.logs[index]) }
        #expect(try await web3.eth.blockNumber() == 1)
        #expect(try await web3.eth.block(.latest)?.header == mined.header)
        #expect(try await web3.eth.block(hash: mined.hash)?.header == mined.header)
        #expect(try await web3.eth.block(.number(2)) == nil)
        #expect(try await web3.eth.getLogs(filter) == [mined.logs[0], mined.logs[2]])
        let error = await #expect(throws: Web3Error.self) { try await web3.request("eth_call", as: String.self) }
        #expect(error?.rpcCode == -32601)
        #expect(await node.requests["eth_subscribe"] == 2)
        await web3.close()
        await node.close()
        #expect(await node.problems == ["the method eth_call is not served by a simulated chain"])
    }

    @Test("A node that was stopped is away, its chain goes on, and it listens again where it did")
    func restart() async throws {
        let node = try await TestNode(chain: SimulatedChain(seed: 2))
        await node.change { $0.mine() }
        await node.stop()
        var configuration = Configuration()
        configuration.proxy = .none
        await #expect(throws: Web3Error.self) {
            try await Web3.connect(to: node.endpoint, configuration: configuration)
        }
        await node.change { $0.mine() }
        try await node.start()
        let web3 = try await Web3.connect(to: node.endpoint, configuration: configuration)
        #expect(try await web3.eth.blockNumber() == 2)
        await web3.close()
        await node.close()
    }

    @Test("Blocks come in an interval of the node's clock, until the task is cancelled")
    func interval() async throws {
        try await SimulatedLoop.run(seed: 3) { loop in
            let node = try await TestNode(chain: SimulatedChain(seed: 3), loop: loop)
            await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await node.change(every: .seconds(2)) { $0.mine() } }
                try? await loop.sleep(for: .seconds(21))
                group.cancelAll()
            }
            #expect(node.chain.head.number == 10)
            await node.close()
        }
    }

    @Test("The same seed makes the same faults; places are counted from 1")
    func deterministic() {
        func drawn(_ faults: Faults) -> [Fault?] {
            var faults = faults
            return (0..<400).map { _ in faults.forMessage() }
        }
        let chances: KeyValuePairs<Fault, Double> = [.cut: 5, .drop: 10, .refuse: 50]
        let first = drawn(Faults(seed: 1, chances))
        #expect(first == drawn(Faults(seed: 1, chances)))
        #expect(first != drawn(Faults(seed: 2, chances)))
        #expect(first.count { $0 == .drop } > first.count { $0 == .cut } && first.contains(.cut))
        #expect(!first.contains(.refuse))
        #expect(drawn(Faults(at: [3: .tear])).prefix(4) == [nil, nil, .tear, nil])
    }
}
