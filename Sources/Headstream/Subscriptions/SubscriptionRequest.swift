public import EthereumTypes
import HeadstreamRPC

/// A kind of subscription: how it is asked for, and what its notifications are.
///
/// A kind of one's own takes a few lines, in any namespace:
///
/// ```swift
/// struct PendingHashes: SubscriptionRequest {
///     typealias Notification = Hash32
///     var parameters: [any Encodable & Sendable] { ["newPendingTransactions"] }
/// }
/// extension SubscriptionRequest where Self == PendingHashes {
///     static var pendingHashes: PendingHashes { PendingHashes() }
/// }
/// let hashes = try await web3.eth.subscribe(.pendingHashes)
/// ```
public protocol SubscriptionRequest<Notification>: Sendable {
    /// What one notification's `result` is read as.
    associatedtype Notification: Decodable & Sendable

    /// Default `eth_subscribe`.
    var subscribeMethod: String { get }
    /// Default `eth_unsubscribe`.
    var unsubscribeMethod: String { get }
    /// The parameters of the subscribe request.
    var parameters: [any Encodable & Sendable] { get }
}

extension SubscriptionRequest {
    public var subscribeMethod: String { "eth_subscribe" }
    public var unsubscribeMethod: String { "eth_unsubscribe" }

    var methods: SubscriptionMethods {
        SubscriptionMethods(subscribe: self.subscribeMethod, unsubscribe: self.unsubscribeMethod)
    }
}

/// New heads of the chain: geth's `newHeads`.
public struct NewHeadsRequest: SubscriptionRequest {
    public typealias Notification = BlockHeader

    public init() {}

    /// No second parameter: some nodes refuse even an empty object.
    public var parameters: [any Encodable & Sendable] { ["newHeads"] }
}

/// Logs of new blocks that match a filter: geth's `logs`.
public struct LogsRequest: SubscriptionRequest {
    public typealias Notification = Log

    /// Which logs; a block range in it is not sent, nodes ignore it in subscriptions.
    public var filter: LogFilter

    public init(_ filter: LogFilter = LogFilter()) {
        self.filter = filter
    }

    public var parameters: [any Encodable & Sendable] {
        var filter = self.filter
        filter.blocks = .unspecified
        return ["logs", filter]
    }
}

extension SubscriptionRequest where Self == NewHeadsRequest {
    /// New heads.
    public static var newHeads: NewHeadsRequest { NewHeadsRequest() }
}

extension SubscriptionRequest where Self == LogsRequest {
    /// Logs that match `filter`; all logs without one.
    public static func logs(_ filter: LogFilter = LogFilter()) -> LogsRequest { LogsRequest(filter) }
}
