import EthereumTypes

/// Which of the node's subscriptions bring the logs of which filters.
///
/// A struct without I/O: it takes facts and returns what is to be done. Equal filters share a subscription; where filters
/// are merged, so do those that make conditions of the same places, as long as the merged filter is not too long. One that
/// is to change is replaced by subscribing the new one first: until that is acknowledged the old one brings what it brought,
/// and a filter that it does not cover waits.
struct FilterGroups: Sendable {
    /// The local name of one of the node's subscriptions.
    typealias SubscriptionID = UInt64

    enum Action: Sendable, Hashable {
        case subscribe(SubscriptionID, LogFilter)
        case end(SubscriptionID)
        /// All logs of these filters are pushed from here on.
        case acknowledged([FilterID])
        /// The node will not have this filter, although nothing was merged with it.
        case refused(FilterID)
    }

    struct Member: Sendable {
        let id: FilterID
        let filter: LogFilter
        /// Its logs are pushed on this connection.
        fileprivate var isPushed = false
    }

    private struct Subscription: Sendable {
        let id: SubscriptionID
        let filter: LogFilter
        /// On this connection.
        var isAcknowledged = false
        /// On this connection or an earlier one.
        var wasAcknowledged = false
    }

    private struct Group: Sendable {
        var members: [Member]
        /// One filter for all members.
        var merged: LogFilter
        /// Nil until it is asked for.
        var current: Subscription?
        /// Asked for, to take the place of `current`.
        var next: Subscription?
    }

    /// The most alternatives that a list of a merged filter has: nodes take a thousand, or do not say.
    static let longestList = 256

    private let merges: Bool
    private var groups: [Group] = []
    private var lastID: SubscriptionID = 0
    /// As ``longestList``; less where the node has refused so many.
    private var limit = Self.longestList

    /// - Parameter merges: whether filters that differ share a subscription.
    init(merges: Bool) {
        self.merges = merges
    }

    /// The filters whose logs a subscription brings, and perhaps others'.
    func members(of id: SubscriptionID) -> [Member] {
        self.groups.first { $0.current?.id == id || $0.next?.id == id }?.members ?? []
    }

    /// The subscription that brings a filter's logs, or is to bring them.
    func subscription(of filter: FilterID) -> SubscriptionID? {
        self.groups.first { $0.members.contains { $0.id == filter } }?.current?.id
    }

    // MARK: Facts

    /// A filter is wanted. What is to be done for it comes at ``settle()``, so that what is wanted together is asked for
    /// together.
    mutating func add(_ id: FilterID, _ filter: LogFilter) {
        let member = Member(id: id, filter: filter)
        for index in self.groups.indices {
            guard let merged = self.merged(filter, into: self.groups[index]) else { continue }
            self.groups[index].members.append(member)
            self.groups[index].merged = merged
            return
        }
        self.groups.append(Group(members: [member], merged: filter))
    }

    private func merged(_ filter: LogFilter, into group: Group) -> LogFilter? {
        if group.merged == filter { return filter }
        guard self.merges, let merged = LogFilter.merging([group.merged, filter]) else { return nil }
        let isCovered = (group.next ?? group.current)?.filter.covers(merged) ?? false
        return isCovered || merged.listLengths.allSatisfy { $0 <= self.limit } ? merged : nil
    }

    /// A filter is not wanted any more.
    mutating func remove(_ id: FilterID) -> [Action] {
        guard let index = self.groups.firstIndex(where: { $0.members.contains { $0.id == id } }) else { return [] }
        self.groups[index].members.removeAll { $0.id == id }
        let group = self.groups[index]
        guard let merged = LogFilter.merging(group.members.map(\.filter)) else {
            self.groups.remove(at: index)
            return [group.current, group.next].compactMap { $0.map { .end($0.id) } }
        }
        self.groups[index].merged = merged
        // Not for each that leaves: one that brings twice what is wanted is worth another.
        let size = { (filter: LogFilter) in filter.listLengths.reduce(0, +) }
        guard group.next == nil, let current = group.current, current.isAcknowledged,
            size(merged) * 2 <= size(current.filter)
        else { return [] }
        return [self.ask(index)]
    }

    /// Asks for what is wanted and not asked for.
    mutating func settle() -> [Action] {
        var actions: [Action] = []
        for index in self.groups.indices {
            guard let current = self.groups[index].current else {
                actions.append(self.ask(index))
                continue
            }
            if current.isAcknowledged { actions += self.push(index, by: current.filter) }
            // One at a time: what is wanted meanwhile is asked for together behind the answer.
            guard self.groups[index].next == nil, current.wasAcknowledged,
                self.groups[index].members.contains(where: { !$0.isPushed && !current.filter.covers($0.filter) })
            else { continue }
            actions.append(self.ask(index))
        }
        return actions
    }

    private mutating func ask(_ index: Int) -> Action {
        self.lastID += 1
        let subscription = Subscription(id: self.lastID, filter: self.groups[index].merged)
        if self.groups[index].current == nil {
            self.groups[index].current = subscription
        } else {
            self.groups[index].next = subscription
        }
        return .subscribe(subscription.id, subscription.filter)
    }

    /// Members that this filter covers, and whose logs were not pushed, have them pushed now.
    private mutating func push(_ index: Int, by filter: LogFilter) -> [Action] {
        var pushed: [FilterID] = []
        for place in self.groups[index].members.indices
        where !self.groups[index].members[place].isPushed && filter.covers(self.groups[index].members[place].filter) {
            self.groups[index].members[place].isPushed = true
            pushed.append(self.groups[index].members[place].id)
        }
        return pushed.isEmpty ? [] : [.acknowledged(pushed)]
    }

    /// The node has acknowledged a subscription; on each connection.
    mutating func acknowledged(_ id: SubscriptionID) -> [Action] {
        guard let index = self.groups.firstIndex(where: { $0.current?.id == id || $0.next?.id == id }) else {
            return []
        }
        var actions: [Action] = []
        if let next = self.groups[index].next, next.id == id {
            if let current = self.groups[index].current { actions.append(.end(current.id)) }
            self.groups[index].current = next
            self.groups[index].next = nil
        }
        self.groups[index].current?.isAcknowledged = true
        self.groups[index].current?.wasAcknowledged = true
        // Of those that had been pushed too: what the old one brought last may have been cut off.
        for place in self.groups[index].members.indices { self.groups[index].members[place].isPushed = false }
        return actions + self.settle()
    }

    /// The node has refused a subscription that it had never acknowledged.
    mutating func refused(_ id: SubscriptionID) -> [Action] {
        guard let index = self.groups.firstIndex(where: { $0.current?.id == id || $0.next?.id == id }) else {
            return []
        }
        var group = self.groups.remove(at: index)
        var waiting = group.members
        var actions: [Action] = []
        var refused = group.current?.filter
        if let next = group.next, next.id == id, let current = group.current {
            // Those that have no place in the old one go elsewhere.
            refused = next.filter
            waiting.removeAll { current.filter.covers($0.filter) }
            group.members.removeAll { !current.filter.covers($0.filter) }
            group.next = nil
            if let merged = LogFilter.merging(group.members.map(\.filter)) {
                group.merged = merged
                self.groups.insert(group, at: index)
            } else {
                actions.append(.end(current.id))
            }
        }
        if waiting.allSatisfy({ $0.filter == refused }) { return actions + waiting.map { .refused($0.id) } }
        // Perhaps so many at once were too many.
        self.limit = min(self.limit, (refused?.listLengths.max() ?? 0) / 2)
        for member in waiting { self.add(member.id, member.filter) }
        return actions + self.settle()
    }

    /// A subscription brings nothing until it is acknowledged anew.
    mutating func lost(_ id: SubscriptionID) {
        for index in self.groups.indices {
            if self.groups[index].next?.id == id { self.groups[index].next?.isAcknowledged = false }
            guard self.groups[index].current?.id == id else { continue }
            self.groups[index].current?.isAcknowledged = false
            for place in self.groups[index].members.indices { self.groups[index].members[place].isPushed = false }
        }
    }

    /// Everything is to be subscribed anew, on another connection or on the same: nothing is acknowledged yet.
    mutating func resubscribed() {
        for index in self.groups.indices {
            self.groups[index].current?.isAcknowledged = false
            self.groups[index].next?.isAcknowledged = false
            for place in self.groups[index].members.indices { self.groups[index].members[place].isPushed = false }
        }
    }
}
