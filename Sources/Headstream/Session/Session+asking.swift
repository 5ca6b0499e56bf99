import EthereumTypes
import HeadstreamLocks
import HeadstreamRPC

// Questions to endpoints that the session is not connected to.
extension Session {
    /// How far an endpoint's chain is.
    struct Head: Sendable {
        let endpoint: Endpoint
        let number: UInt64
    }

    /// Asks each of the other endpoints for its newest block, on a connection of its own that is closed behind the answer.
    ///
    /// - Parameter body: gets, in the order of the list, the answers of those that gave one and are of the same chain; called
    ///   on the loop, at the latest after the times for connecting and for a request.
    func askOthers(_ body: @escaping @Sendable ([Head]) -> Void) {
        let others = self.failover.others
        guard !others.isEmpty else { return body([]) }
        let collector = HeadCollector(count: others.count, body)
        for (index, endpoint) in others.enumerated() {
            self.askOther(endpoint) { number in
                collector.received(number.map { Head(endpoint: endpoint, number: $0) }, at: index)
            }
        }
    }

    private func askOther(_ endpoint: Endpoint, _ body: @escaping @Sendable (UInt64?) -> Void) {
        guard let chain = try? EncodedRequest("eth_chainId"), let latest = try? EncodedRequest(.header(.latest)) else {
            return body(nil)
        }
        // With an owner that has no session: nothing that becomes of it concerns the streams.
        let connection = self.newConnection(to: endpoint, owner: ConnectionOwner())
        self.connections.withLock { $0.asking.append(connection) }
        let known = self.chainID
        let answers = LoopValue<[Int: Waiter.Outcome]>([:])
        connection.assumeIsolated { $0.begin() }
        self.ask([chain, latest], on: connection) { [weak self] index, outcome in
            // In any order.
            answers.value[index] = outcome
            guard let chain = answers.value[0], let latest = answers.value[1] else { return }
            self?.connections.withLock { connections in connections.asking.removeAll { $0 === connection } }
            connection.abandon()
            let found = try? chain.get().withBytes { try Results.decode($0, as: Quantity.self).value }
            let isOther = known.map { known in found.map { $0 != known } ?? false } ?? false
            body(isOther ? nil : (try? latest.get()).flatMap { Self.blockNumber(in: $0) })
        }
    }

    /// The number of the block that was answered; nil where there is none.
    static func blockNumber(in bytes: ResponseBytes) -> UInt64? {
        let header = try? bytes.withBytes { try Results.decode($0, as: BlockHeader?.self) }
        guard let header = header ?? nil, header.hasNumber else { return nil }
        return header.number
    }
}

/// Gathers the answers of several endpoints.
///
/// `@unchecked Sendable`: touched on the session's loop alone.
private final class HeadCollector: @unchecked Sendable {
    private var heads: [Session.Head?]
    private var missing: Int
    private let body: @Sendable ([Session.Head]) -> Void

    init(count: Int, _ body: @escaping @Sendable ([Session.Head]) -> Void) {
        self.heads = Array(repeating: nil, count: count)
        self.missing = count
        self.body = body
    }

    func received(_ head: Session.Head?, at index: Int) {
        self.heads[index] = head
        self.missing -= 1
        if self.missing == 0 { self.body(self.heads.compactMap { $0 }) }
    }
}

/// A value of callbacks of one loop.
///
/// `@unchecked Sendable`: touched on the session's loop alone.
private final class LoopValue<Value>: @unchecked Sendable {
    var value: Value

    init(_ value: Value) {
        self.value = value
    }
}
