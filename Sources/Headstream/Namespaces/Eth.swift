public import EthereumTypes
public import HeadstreamRPC

extension Web3 {
    /// The `eth_` methods.
    public var eth: Eth { Eth(web3: self) }
    /// The `net_` methods.
    public var net: Net { Net(web3: self) }
    /// The `web3_` methods.
    public var web3: Web3Namespace { Web3Namespace(web3: self) }
}

/// Ethereum's methods (the execution-apis specification) and subscriptions (geth's pub/sub).
public struct Eth: Sendable {
    let web3: Web3

    // MARK: Streams

    /// New heads as the node pushes them, from now on, and no more: nothing is asked for, what is missed while there is no
    /// connection stays missing and is told, and a reorganisation shows as the node tells it.
    /// ``newHeads(continuity:from:finality:verify:)`` misses nothing.
    ///
    /// ```swift
    /// for try await head in web3.eth.newHeads(continuity: .live) { print(head.number) }
    /// ```
    ///
    /// - Parameters:
    ///   - continuity: `.live`.
    ///   - whenFull: what happens when the consumer is slow; the configuration's policy by default.
    ///   - bufferLimit: in bytes; the configuration's by default (16 MiB).
    ///   - priority: which streams give way first when the buffers of all of them are full together.
    public func newHeads(
        continuity: LiveContinuity,
        whenFull: BufferPolicy? = nil,
        bufferLimit: Int? = nil,
        priority: BufferPriority = .normal
    ) -> HeadSequence {
        HeadSequence(
            session: self.web3.session,
            request: NewHeadsRequest(),
            options: BufferOptions(whenFull, bufferLimit, priority, self.web3.session.configuration)
        )
    }

    /// Logs of new blocks that match a filter, as the node pushes them, from now on, and no more. A log whose block left the
    /// chain comes again with `removed` true, where the node tells it.
    ///
    /// - Parameters:
    ///   - filter: all logs by default.
    ///   - continuity: `.live`.
    ///   - whenFull: what happens when the consumer is slow; the configuration's policy by default.
    ///   - bufferLimit: in bytes; the configuration's by default (16 MiB).
    ///   - priority: which streams give way first when the buffers of all of them are full together.
    public func logs(
        _ filter: LogFilter = LogFilter(),
        continuity: LiveContinuity,
        whenFull: BufferPolicy? = nil,
        bufferLimit: Int? = nil,
        priority: BufferPriority = .normal
    ) -> LogSequence {
        LogSequence(
            session: self.web3.session,
            request: LogsRequest(filter),
            options: BufferOptions(whenFull, bufferLimit, priority, self.web3.session.configuration)
        )
    }

    /// Makes a live subscription: what the node pushes from its acknowledgement on, and no more. Returns once the node has
    /// acknowledged it, so that a refused one throws here.
    public func subscribe<Request: SubscriptionRequest>(
        _ request: Request,
        whenFull: BufferPolicy? = nil,
        bufferLimit: Int? = nil,
        priority: BufferPriority = .normal
    ) async throws(Web3Error) -> Subscription<Request.Notification> {
        try await self.web3.subscribe(request, whenFull: whenFull, bufferLimit: bufferLimit, priority: priority)
    }

    // MARK: Reads

    /// `eth_chainId` (EIP-695).
    public func chainID() async throws(Web3Error) -> UInt64 {
        try await self.web3.call(.chainID, as: Quantity.self).value
    }

    /// `eth_blockNumber`: the number of the newest block.
    public func blockNumber() async throws(Web3Error) -> UInt64 {
        try await self.web3.call(.blockNumber, as: Quantity.self).value
    }

    /// `eth_getBlockByNumber`; nil where there is none.
    ///
    /// - Parameter fullTransactions: whether transactions come whole or as hashes.
    public func block(_ tag: BlockTag, fullTransactions: Bool = false) async throws(Web3Error) -> Block? {
        try await self.web3.call("eth_getBlockByNumber", [tag, fullTransactions])
    }

    /// `eth_getBlockByHash`; nil where the node does not know it.
    public func block(hash: Hash32, fullTransactions: Bool = false) async throws(Web3Error) -> Block? {
        try await self.web3.call("eth_getBlockByHash", [hash, fullTransactions])
    }

    /// `eth_getLogs`: logs of the filter's blocks (EIP-234 for a block hash).
    public func getLogs(_ filter: LogFilter) async throws(Web3Error) -> [Log] {
        try await self.web3.call("eth_getLogs", [filter])
    }

    /// `eth_getTransactionReceipt`; nil where the transaction is not in a block.
    public func transactionReceipt(_ hash: Hash32) async throws(Web3Error) -> Receipt? {
        try await self.web3.call("eth_getTransactionReceipt", [hash])
    }
}

/// The node's network.
public struct Net: Sendable {
    let web3: Web3

    /// `net_version`: the network's id, as the node writes it.
    public func version() async throws(Web3Error) -> String {
        try await self.web3.call("net_version", [])
    }
}

/// The node itself.
public struct Web3Namespace: Sendable {
    let web3: Web3

    /// `web3_clientVersion`: what the node calls itself, control characters and all; clean it before you print it.
    public func clientVersion() async throws(Web3Error) -> String {
        try await self.web3.call("web3_clientVersion", [])
    }
}
