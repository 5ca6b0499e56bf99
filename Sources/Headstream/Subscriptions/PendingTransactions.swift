public import EthereumTypes
import HeadstreamJSON

/// Hashes of transactions that enter the node's pool: geth's `newPendingTransactions`.
public struct NewPendingTransactionsRequest: SubscriptionRequest {
    public typealias Notification = Hash32

    public init() {}

    /// No second parameter: some nodes refuse even `false`.
    public var parameters: [any Encodable & Sendable] { ["newPendingTransactions"] }
}

/// Transactions that enter the node's pool, whole: geth's `newPendingTransactions` with `true` behind it.
///
/// Nodes that do not know that parameter refuse the subscription, or send hashes all the same: then each item is one
/// that cannot be read, and its error says so.
public struct NewFullPendingTransactionsRequest: SubscriptionRequest {
    public typealias Notification = Transaction

    public init() {}

    public var parameters: [any Encodable & Sendable] { ["newPendingTransactions", true] }
}

extension SubscriptionRequest where Self == NewPendingTransactionsRequest {
    /// Hashes of transactions that enter the pool.
    public static func newPendingTransactions() -> NewPendingTransactionsRequest { NewPendingTransactionsRequest() }
}

extension SubscriptionRequest where Self == NewFullPendingTransactionsRequest {
    /// Transactions that enter the pool, whole.
    public static func newFullPendingTransactions() -> NewFullPendingTransactionsRequest {
        NewFullPendingTransactionsRequest()
    }
}

/// Transactions; a hash in the place of one is named for what it is.
struct PendingTransactionDecoder: NotificationDecoder {
    mutating func decode(_ bytes: UnsafeRawBufferPointer) throws(ValueError) -> Transaction {
        guard bytes.first != UInt8(ascii: "\"") else {
            throw ValueError(
                value: ValueError.excerpt(of: bytes),
                reason: """
                    is no transaction: the node sends hashes though whole transactions were asked for; subscribe to \
                    newPendingTransactions() and request each transaction, or use another node
                    """
            )
        }
        var reader = JSONReader(bytes)
        let transaction = try Transaction(from: &reader)
        try reader.finish()
        return transaction
    }
}
