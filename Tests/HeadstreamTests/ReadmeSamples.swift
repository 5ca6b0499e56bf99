import Headstream
import HeadstreamTesting
import Testing

// The code of the README, so that it compiles. What needs a node is not run.

/// Heads.
func heads() async throws {
    let web3 = try await Web3.connect(to: "ws://127.0.0.1:8546")
    for try await head in web3.eth.newHeads() {
        print(head.number, head.hash)
    }
}

/// Logs of one contract and event.
func logs(usdc: Address) async throws {
    let web3 = try await Web3.connect(to: .ipc("/run/geth.ipc"))
    let transfer = try Hash32(eventSignature: "Transfer(address,address,uint256)")
    for try await log in web3.eth.logs(.init(address: usdc, topics: [.exactly(transfer)])) {
        print(log.blockNumber ?? 0, log.topics, log.data)
    }
}

/// The same stream with what happens between the items.
func updates(web3: Web3) async throws {
    for try await update in web3.eth.newHeads(whenFull: .dropOldest).updates {
        switch update {
        case .item(let head): print(head.number)
        case .lagged(let count): print("\(count) heads were dropped")
        case .undecodable(let error): print(error)
        }
    }
}

/// The explicit form: a refused subscription throws here and not in the loop.
func subscribing(web3: Web3) async throws {
    let subscription = try await web3.eth.subscribe(.newHeads)
    for try await head in subscription { print(head.number) }
    await subscription.unsubscribe()
}

/// A kind of one's own.
struct PendingHashes: SubscriptionRequest {
    typealias Notification = Hash32
    var parameters: [any Encodable & Sendable] { ["newPendingTransactions"] }
}
extension SubscriptionRequest where Self == PendingHashes {
    static var pendingHashes: PendingHashes { PendingHashes() }
}
func pending(web3: Web3) async throws {
    for try await hash in try await web3.eth.subscribe(.pendingHashes) { print(hash) }
}

/// Requests, typed and untyped.
func requests(web3: Web3, address: Address) async throws {
    let number = try await web3.eth.blockNumber()
    let balance = try await web3.request("eth_getBalance", address, BlockTag.latest, as: UInt256.self)
    let block = try await web3.eth.block(.number(number))
    print(balance, block?.header.hash as Any)

    var batch = BatchRequest()
    batch.add("eth_chainId")
    batch.add("eth_getBalance", address, BlockTag.latest)
    let answers = try await web3.batch(batch)
    let same = try answers.result(1, as: UInt256.self)
    print(same)
}

/// Scoped: closed and awaited at the end.
func scoped() async throws {
    try await Web3.withConnection(to: "ws://127.0.0.1:8546") { web3 in
        print(try await web3.web3.clientVersion())
    }
}

/// The lowest cost for a consumer that computes little and never blocks.
func onTheLoop(web3: Web3) async throws {
    try await withTaskExecutorPreference(web3.executor) {
        for try await head in web3.eth.newHeads() { print(head.number) }
    }
}

/// What went wrong, and what to do.
func errors(endpoint: String) async throws {
    do {
        _ = try await Web3.connect(to: Endpoint(endpoint))
    } catch where error.code == .upgradeRefused {
        print(error.httpStatus as Any, error.retryAfter as Any)
    }
}

@Suite("README samples")
struct ReadmeSamples {
    @Test func replaysAFixture() async throws {
        var gas: UInt64 = 0
        try await withReplay(of: Fixture.path("sessions/mainnet-14000000-14000010.io")) { web3, _ in
            for try await head in web3.eth.newHeads() { gas += head.gasUsed }
        }
        #expect(gas > 0)
    }
}
