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
            case .acknowledged(let filters): self.handle(.acknowledged(heads: false, filters: filters))
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
            for member in self.groups.members(of: id) { self.handle(.logsLost(member.id)) }
        }
        self.logs[id] = stream
        self.subscribe(stream.kept) { [weak self] in
            guard let self else { return }
            self.follow(self.groups.acknowledged(id))
        } refused: { [weak self] error in
            guard let self else { return }
            self.logs[id] = nil
            self.follow(self.groups.refused(id), error)
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
