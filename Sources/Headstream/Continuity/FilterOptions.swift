package import EthereumTypes

/// The local name of a filter: one subscription of the node's serves all consumers of it.
package struct FilterID: Hashable, Sendable {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// How the logs of a filter come.
public enum LogDelivery: Sendable, Hashable {
    /// By a subscription; asked for where that proves nothing.
    case pushed
    /// By a query for each block whose bloom may match.
    case fetched
}

package struct FilterOptions: Sendable {
    package var filter: LogFilter
    /// Pushed logs are compared with a range answer every so many blocks; 1 holds each block until an answer has closed
    /// it.
    package var audit: Int
    package var delivery: LogDelivery
    package var verify: Verification

    package init(
        filter: LogFilter,
        audit: Int = 32,
        delivery: LogDelivery = .pushed,
        verify: Verification = .off
    ) {
        self.filter = filter
        self.filter.blocks = .unspecified
        self.audit = min(max(audit, 1), 1 << 16)
        self.delivery = delivery
        self.verify = verify
    }
}
