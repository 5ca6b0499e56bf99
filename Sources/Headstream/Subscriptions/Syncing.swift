public import EthereumTypes

/// Whether the node is catching up with its chain, told when that changes: geth's `syncing`.
///
/// Nodes send `true` and `false`, the progress, or `{"syncing":…,"status":…}`; all are read. Many send the state at
/// once, others only a change, and a node that has caught up may send nothing at all.
public struct SyncingRequest: SubscriptionRequest {
    public typealias Notification = SyncStatus

    public init() {}

    public var parameters: [any Encodable & Sendable] { ["syncing"] }

    /// Many nodes begin with the state.
    public var isShareable: Bool { false }
}

extension SubscriptionRequest where Self == SyncingRequest {
    /// Changes of the node's synchronisation.
    public static func syncing() -> SyncingRequest { SyncingRequest() }
}
