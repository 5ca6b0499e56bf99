import Headstream
import HeadstreamTesting
import Testing

// The Swift code of README.md, compiled, and run where that needs no node. `ReadmeTests` compares the two.
enum ReadmeSamples {
    static func heads() async throws {
        let web3 = try await Web3.connect(to: "ws://127.0.0.1:8546")
        for try await head in web3.eth.newHeads() {
            print(head.number, head.hash, head.gasUsed)
        }
    }

    static func logs(_ web3: Web3) async throws {
        let usdc = try Address("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48")
        let transfer = try Hash32(eventSignature: "Transfer(address,address,uint256)")
        let filter = LogFilter(address: usdc, topics: [.exactly(transfer)])

        for try await log in web3.eth.logs(filter) {
            let (from, to) = (Address(lastBytesOf: log.topics[1]), Address(lastBytesOf: log.topics[2]))
            let amount = try UInt256(bigEndian: log.data)
            print("\(from) -> \(to): \(amount.formatted(decimals: 6))\(log.removed ? " (undone)" : "")")
        }
    }

    static func updates(_ web3: Web3) async throws {
        let heads = web3.eth.newHeads(continuity: .live, whenFull: .dropOldest, bufferLimit: 1 << 20)
        for try await update in heads.updates {
            switch update {
            case .item(let head): print(head.number)
            case .lagged(let count, _): print("\(count) heads were dropped here")
            default: break
            }
        }
    }

    static func gapless(_ web3: Web3, _ filter: LogFilter) async throws {
        for try await update in web3.eth.logs(filter).updates {
            switch update {
            case .item(let log): print(log.blockNumber ?? 0, log.logIndex ?? 0)
            case .rollback(let block, _): print("void: everything above block", block)
            case .gap(let blocks, let reason): print("missing: blocks", blocks, reason)
            case .progress(let cursor): print("resume with from: .cursor(…)", cursor)
            default: break
            }
        }
    }

    static func subscribe(_ web3: Web3, _ filter: LogFilter) async throws {
        let logs = try await web3.eth.subscribe(.logs(filter))
        // The node has acknowledged: logs of blocks from here on are in the buffer.
        let past = try await web3.eth.getLogs(filter)
        for log in past { print("before:", log) }
        for try await log in logs { print("now:", log) }
    }

    static func ownKind(_ web3: Web3) async throws {
        for try await hash in web3.notifications(.pendingHashes) { print(hash) }
    }

    static func requests(_ web3: Web3, _ account: Address) async throws {
        let number = try await web3.eth.blockNumber()
        let block = try await web3.eth.block(.number(number), fullTransactions: true)
        let balance = try await web3.request("eth_getBalance", account, BlockTag.latest, as: UInt256.self)
        print(block?.hash ?? "no block", balance.formatted(decimals: 18))
    }

    static func batches(_ web3: Web3, _ accounts: [Address]) async throws {
        var batch = BatchRequest()
        for account in accounts { batch.add("eth_getBalance", account, BlockTag.latest) }

        let answers = try await web3.batch(batch)
        for index in accounts.indices {
            print(accounts[index], try answers.result(index, as: UInt256.self))
        }
    }

    static func scope() async throws {
        let version = try await Web3.withConnection(to: .ipc("/run/geth.ipc")) { web3 in
            try await web3.web3.clientVersion()
        }
        print(version)
    }

    static func configure(_ url: String, _ token: String) async throws {
        var configuration = Configuration()
        configuration.requestTimeout = .seconds(5)
        configuration.headers = [(name: "Authorization", value: "Bearer \(token)")]
        configuration.diagnostics = { print($0) }
        let web3 = try await Web3.connect(to: Endpoint(url), configuration: configuration)
        print(await web3.metrics.bytesReceived)
    }

    static func errors(_ web3: Web3, _ hash: Hash32) async throws {
        do throws(Web3Error) {
            let receipt = try await web3.eth.transactionReceipt(hash)
            print(receipt?.blockNumber ?? 0)
        } catch {
            switch error.code {
            case .rateLimited: print("again in \(error.retryAfter ?? .seconds(1))")
            case .rpcError: print("the node says \(error.rpcCode ?? 0): \(error.rpcMessage ?? "")")
            default: print(error)
            }
        }
    }

    static func onTheLoop(_ web3: Web3) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask(executorPreference: web3.executor) {
                for try await log in web3.eth.logs() { print(log.address) }
            }
            try await group.waitForAll()
        }
    }
}

struct PendingHashes: SubscriptionRequest {
    typealias Notification = Hash32
    var parameters: [any Encodable & Sendable] { ["newPendingTransactions"] }
}

extension SubscriptionRequest where Self == PendingHashes {
    static var pendingHashes: PendingHashes { PendingHashes() }
}

@Test func blocksKeepTheirGasLimit() async throws {
    try await withReplay(of: "Fixtures/sessions/mainnet-14000000-14000010.io") { web3, _ in
        for try await head in web3.eth.newHeads() { #expect(head.gasUsed <= head.gasLimit) }
    }
}
