import EthereumTypes
import HeadstreamRPC

// The subscriptions that logs come on: what `FilterGroups` says, made and ended.
extension ContinuityEngine {
    /// This filter's logs are to be pushed.
    func push(_ id: FilterID, _ filter: LogFilter) {
        self.groups.add(id, filter)
        guard self.session?.configuration.mergeFilters == true else { return self.follow(self.groups.settle()) }
        // Filters that come together are asked for together.
        guard !self.isSettling else { return }
        self.isSettling = true
        self.loop.atTurnEnd { [weak self] in
            guard let self else { return }
            self.isSettling = false
            self.follow(self.groups.settle())
        }
    }

    /// - Parameter error: what the node has said, where it refused something.
    func follow(_ actions: [FilterGroups.Action], _ error: Web3Error? = nil) {
        for action in actions {
            switch action {
            case .subscribe(let id, let filter): self.subscribe(id, filter)
            case .end(let id): self.dismiss(self.logs.removeValue(forKey: id)?.local)
            case .acknowledged(let filters): self.acknowledged(filters)
            case .refused(let filter): if let error { self.refused(filter, error) }
            }
        }
    }

    private func subscribe(_ id: FilterGroups.SubscriptionID, _ filter: LogFilter) {
        guard let session = self.session else { return }
        let stream = PushedStream(session, LogsRequest(filter), Log.Decoder(sharing: session.shapes.share)) {
            [weak self] logs in
            self?.received(logs, on: id)
        } lost: { [weak self] in
            guard let self else { return }
            for member in self.groups.members(of: id) {
                self.handle(.logsLost(member.id))
                // What was asked on the further connection was asked before the loss.
                if self.questions[member.id] != nil { self.acknowledged([member.id]) }
            }
        }
        self.logs[id] = stream
        self.subscribe(stream.kept) { [weak self] in
            guard let self else { return }
            self.follow(self.groups.acknowledged(id))
        } refused: { [weak self] error in
            guard let self else { return }
            self.logs[id] = nil
            self.follow(self.groups.refused(id), error)
        } cut: { [weak self] in
            guard let self else { return }
            let filters = self.groups.members(of: id).map(\.id)
            self.groups.lost(id)
            for filter in filters { self.questions[filter] = nil }
            self.handle(.unacknowledged(filters))
        }
    }

    /// The logs of these filters, which share a subscription, are pushed from here on: on the connection of heads, or on a
    /// further one, which may have another backend behind it. That one is asked how far it is.
    private func acknowledged(_ filters: [FilterID]) {
        let local = filters.first.flatMap { self.groups.subscription(of: $0) }.flatMap { self.logs[$0]?.local }
        guard let local, let further = self.session?.assumeIsolated({ $0.subscriptions[local]?.further }) else {
            for filter in filters { self.questions[filter] = nil }
            return self.handle(.acknowledged(heads: false, filters: filters))
        }
        let question = self.takeID()
        for filter in filters { self.questions[filter] = question }
        self.handle(.acknowledgedApart(filters))
        // One question for all that one read acknowledges.
        if self.unasked.isEmpty { self.loop.atTurnEnd { [weak self] in self?.askFurther() } }
        self.unasked.append((filters, further))
    }

    private func askFurther() {
        guard let session = self.session, let request = try? EncodedRequest(.header(.latest)) else { return }
        while let connection = self.unasked.first?.connection {
            let filters = self.unasked.filter { $0.connection === connection }.flatMap(\.filters)
            self.unasked.removeAll { $0.connection === connection }
            let asked = filters.compactMap { filter in self.questions[filter].map { (filter, $0) } }
            session.assumeIsolated { session in
                session.ask([request], on: connection) { [weak self] _, outcome in
                    guard let self, let number = (try? outcome.get()).flatMap({ Session.blockNumber(in: $0) }) else {
                        return
                    }
                    // Those that were acknowledged anew meanwhile have a later question.
                    let current = asked.filter { self.questions[$0.0] == $0.1 }.map(\.0)
                    self.handle(.newestApart(current, number))
                }
            }
        }
    }

    /// Gives each log to the filters that match it.
    private func received(_ logs: [Log], on id: FilterGroups.SubscriptionID) {
        let members = self.groups.members(of: id)
        // The machine does not take what a filter does not match, so where there is one there is nothing to ask.
        if members.count == 1 { return self.handle(.logs(members[0].id, logs)) }
        for member in members {
            let matching = logs.filter { member.filter.matches($0) }
            if !matching.isEmpty { self.handle(.logs(member.id, matching)) }
        }
    }
}
