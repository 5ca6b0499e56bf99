public import EthereumTypes
public import HeadstreamRPC

extension Eth {
    /// Hashes of transactions that enter the node's pool, from now on.
    ///
    /// ```swift
    /// for try await hash in web3.eth.newPendingTransactions() { print(hash) }
    /// ```
    ///
    /// A pool is busy: choose `.dropOldest` for a consumer that wants the newest and may miss some.
    public func newPendingTransactions(
        whenFull: BufferPolicy? = nil,
        bufferLimit: Int? = nil,
        priority: BufferPriority = .normal
    ) -> NotificationSequence<Hash32> {
        self.web3.notifications(
            .newPendingTransactions(),
            whenFull: whenFull,
            bufferLimit: bufferLimit,
            priority: priority
        )
    }

    /// Transactions that enter the node's pool, whole, from now on. Some nodes do not have it: they refuse, or send
    /// hashes, each of which is then thrown as an item that cannot be read.
    public func newFullPendingTransactions(
        whenFull: BufferPolicy? = nil,
        bufferLimit: Int? = nil,
        priority: BufferPriority = .normal
    ) -> NotificationSequence<Transaction> {
        self.web3.notifications(
            .newFullPendingTransactions(),
            whenFull: whenFull,
            bufferLimit: bufferLimit,
            priority: priority
        )
    }

    /// Whether the node is catching up with its chain, told when that changes.
    public func syncing(
        whenFull: BufferPolicy? = nil,
        bufferLimit: Int? = nil,
        priority: BufferPriority = .normal
    ) -> NotificationSequence<SyncStatus> {
        self.web3.notifications(.syncing(), whenFull: whenFull, bufferLimit: bufferLimit, priority: priority)
    }
}
