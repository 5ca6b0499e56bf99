import HeadstreamLocks
import Synchronization

/// Hands out the ids of requests: sequential, unique for the life of a process's client, made before a caller
/// suspends so that cancelling it needs no look-up.
///
/// The low ``kindBits`` of an id say what the request subscribes to, if it does. So an answer that comes after its
/// caller gave up needs no memory to be recognised as a subscription that nobody wants: see
/// ``RequestProcessor/received(_:now:actions:)``. Ids stay below 2^53, which every JSON parser reads exactly.
package final class RequestIDs: Sendable {
    package static let kindBits: UInt64 = 4
    private let next = Atomic<UInt64>(1)
    /// What the kind bits stand for; index 0 is kind 1.
    private let kinds = Locked<[SubscriptionMethods]>([])

    package init() {}

    /// The first of `count` ids in sequence.
    package func take(_ count: Int = 1, kind: UInt64 = 0) -> RequestID {
        let first = self.next.wrappingAdd(UInt64(clamping: count), ordering: .relaxed).oldValue
        // 2^49 requests, at a million a second, last for seventeen years; then the ids begin anew.
        return RequestID(rawValue: (first & ((1 << 49) - 1)) << Self.kindBits | kind)
    }

    /// The kind bits for requests that subscribe with `methods`; 0 when more than fifteen are in use.
    package func kind(of methods: SubscriptionMethods) -> UInt64 {
        self.kinds.withLock { kinds in
            if let index = kinds.firstIndex(of: methods) { return UInt64(index + 1) }
            guard kinds.count < (1 << Self.kindBits) - 1 else { return 0 }
            kinds.append(methods)
            return UInt64(kinds.count)
        }
    }

    /// How a subscription is ended that a request with this id made; `nil` for other requests.
    func methods(of id: RequestID) -> SubscriptionMethods? {
        self.kinds.withLock { kinds in
            let index = Int(truncatingIfNeeded: id.rawValue & ((1 << Self.kindBits) - 1)) - 1
            return kinds.indices.contains(index) ? kinds[index] : nil
        }
    }

    /// Whether an id could have been handed out.
    package func hasTaken(_ id: RequestID) -> Bool {
        id.rawValue >> Self.kindBits < self.next.load(ordering: .relaxed)
    }
}

/// The `id` of a request on the wire.
package struct RequestID: Hashable, Sendable {
    package let rawValue: UInt64

    package init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// The id of the item `offset` places behind this one in a batch.
    package func advanced(by offset: Int) -> RequestID {
        RequestID(rawValue: self.rawValue &+ UInt64(clamping: offset) << RequestIDs.kindBits)
    }
}
