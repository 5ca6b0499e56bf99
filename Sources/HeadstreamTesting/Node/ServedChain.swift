import EthereumTypes
import HeadstreamLocks

/// A simulated chain that one ``TestNode`` speaks for, or several.
final class SharedChain: Sendable {
    struct State: Sendable {
        var chain: SimulatedChain
        /// Ids handed out so far, over all connections of all nodes.
        var handedOut: UInt64 = 0
        /// They are on one loop.
        fileprivate var nodes: [Node] = []
    }

    fileprivate struct Node: Sendable {
        weak let server: NodeServer?
    }

    let state: Locked<State>

    init(_ chain: SimulatedChain) {
        self.state = Locked(State(chain: chain))
    }

    /// One more node speaks for it.
    func add(_ server: NodeServer) {
        self.state.withLock { state in
            state.nodes.removeAll { $0.server == nil }
            state.nodes.append(Node(server: server))
        }
    }

    /// Those that speak for it.
    var nodes: [NodeServer] { self.state.withLock { $0.nodes }.compactMap(\.server) }

    /// Changes the chain and returns what a node pushes then.
    func change<Value: Sendable>(
        _ body: @Sendable (inout SimulatedChain) throws -> Value
    ) rethrows -> (value: Value, notifications: [ChainNotification]) {
        let (value, told) = try self.state.withLock { state in
            let value = try body(&state.chain)
            return (value, state.chain.takeNotifications())
        }
        return (value, told.map(ChainNotification.init))
    }
}

/// What one ``TestNode`` serves, on all its connections: a chain, and what is odd about the node.
final class ServedChain: Sendable {
    let chain: SharedChain
    let quirks = Locked(NodeQuirks())

    init(_ chain: SharedChain) {
        self.chain = chain
    }

    /// What this node pushes of a change of the chain.
    func pushed(_ notifications: [ChainNotification]) -> [ChainNotification] {
        let quirks = self.quirks.withLock { $0 }
        if quirks.isMute { return [] }
        guard let highest = quirks.stopsAt else { return notifications }
        return notifications.filter { $0.blockNumber <= highest }
    }

    /// The newest block as this node pushes it.
    var newest: [ChainNotification] {
        let highest = self.quirks.withLock { $0.stopsAt }
        let told = self.chain.state.withLock { state -> [SimulatedChain.Notification] in
            guard let head = state.chain.block(.latest, upTo: highest) else { return [] }
            return [.head(state.chain.pushed(head.header))] + head.logs.map { .log($0) }
        }
        return self.pushed(told.map(ChainNotification.init))
    }

    /// From now on the node is odd in this way. Returns what it pushes then: its newest block, where it goes on.
    func use(_ quirks: NodeQuirks) -> [ChainNotification] {
        let old = self.quirks.withLock { current in
            defer { current = quirks }
            return current
        }
        let header = self.chain.state.withLock { state -> BlockHeader? in
            guard let head = state.chain.block(.latest, upTo: quirks.stopsAt),
                head.number > state.chain.block(.latest, upTo: old.stopsAt)?.number ?? 0
            else { return nil }
            return state.chain.pushed(head.header)
        }
        return self.pushed(header.map { [ChainNotification(.head($0))] } ?? [])
    }
}

/// What a chain's node pushes, written once for all connections.
struct ChainNotification: Sendable {
    let content: SimulatedChain.Notification
    /// As JSON.
    let json: [UInt8]

    init(_ content: SimulatedChain.Notification) {
        self.content = content
        switch content {
        case .head(let header): self.json = ChainScript.json(header)
        case .log(let log): self.json = ChainScript.json(log)
        }
    }

    var blockNumber: UInt64 {
        switch self.content {
        case .head(let header): header.number
        case .log(let log): log.blockNumber ?? 0
        }
    }
}
