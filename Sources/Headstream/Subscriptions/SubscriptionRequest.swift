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
    /// What one notification's `result` is read as. A ``MethodKeyedNotification`` is told the method's name too.
    associatedtype Notification: Decodable & Sendable

    /// What the node's family does in its own way. Default ``SubscriptionDialect/ethereum``.
    var dialect: SubscriptionDialect { get }
    /// Default `eth_subscribe`.
    var subscribeMethod: String { get }
    /// Default: what the ``dialect`` derives from ``subscribeMethod``, so `eth_unsubscribe` for `eth_subscribe`.
    var unsubscribeMethod: String { get }
    /// The parameters of the subscribe request. Default none.
    var parameters: [any Encodable & Sendable] { get }
    /// The same by name; sent in place of ``parameters`` where there are any. Default none.
    var namedParameters: NamedParameters { get }
    /// Whether streams of equal requests share one subscription of the node's. One that joins another gets what comes from
    /// then on; so not where a subscription begins by telling how things stand. Default: where the ``dialect``'s do not.
    var isShareable: Bool { get }
}

extension SubscriptionRequest {
    public var dialect: SubscriptionDialect { .ethereum }
    public var subscribeMethod: String { "eth_subscribe" }
    public var unsubscribeMethod: String { self.dialect.unsubscribeMethod(for: self.subscribeMethod) }
    public var parameters: [any Encodable & Sendable] { [] }
    public var namedParameters: NamedParameters { NamedParameters() }
    public var isShareable: Bool { !self.dialect.beginsWithState }

    /// What the subscription is called in metrics and warnings: `newHeads`, or the method where it has no such name.
    var kind: String {
        guard self.subscribeMethod == "eth_subscribe", let name = self.parameters.first as? String else {
            return self.subscribeMethod
        }
        return name
    }

    var methods: SubscriptionMethods {
        let dialect = self.dialect
        return SubscriptionMethods(
            subscribe: self.subscribeMethod,
            unsubscribe: self.unsubscribeMethod,
            unsubscribeParameter: dialect.unsubscribeParameter,
            sharesIDs: dialect.sharesIDs,
            keepsMessages: Notification.self is any MethodKeyedNotification.Type
        )
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
