import EthereumTypes
import HeadstreamSockets

// The other endpoints of a session that races them. Rules: Docs/Semantics.md, "Racing".
extension ContinuityEngine {
    /// How long after a change of endpoint the next one may come.
    private static let takeoverInterval: UInt64 = 30_000_000_000

    /// Every endpoint but the session's own pushes too, as long as somebody wants it.
    func updateRacers() {
        guard let session = self.session else { return }
        let wanted = session.assumeIsolated { session -> [Endpoint] in
            guard session.configuration.endpointPolicy == .firstArrival, session.keepsSubscriptions, self.hasConsumers
            else { return [] }
            var wanted: [Endpoint] = []
            // What is named twice is one endpoint.
            for endpoint in session.failover.others
            where endpoint != session.connection.endpoint && !wanted.contains(endpoint) {
                wanted.append(endpoint)
            }
            return wanted
        }
        let gone = self.racers.filter { !wanted.contains($0.endpoint) }
        self.racers.removeAll { !wanted.contains($0.endpoint) }
        for racer in gone { racer.stop() }
        for endpoint in wanted where !self.racers.contains(where: { $0.endpoint == endpoint }) {
            guard let place = session.endpoints.firstIndex(of: endpoint) else { continue }
            let racer = Racer(endpoint, PeerID(rawValue: place), for: self, session)
            self.racers.append(racer)
            racer.begin()
        }
    }

    /// An endpoint pushed heads.
    func received(_ heads: [BlockHeader], from racer: Racer) {
        self.together { engine in
            for head in heads { engine.handle(.peerHead(racer.id, head)) }
        }
        self.leaveLaggard()
    }

    /// Where others have been ahead for so long that the endpoint with authority counts as behind, the one that is ahead
    /// takes over.
    private func leaveLaggard() {
        guard let leader = self.machine.leader, let blockTime = self.watchdog.blockTime else { return }
        let limit = min(max(Self.blocksBehind, Self.timeBehind / blockTime), ContinuityMachine.mostAhead)
        let now = self.loop.now.nanoseconds
        guard leader.blocks >= limit, now >= self.takeoverNotBefore,
            let racer = self.racers.first(where: { $0.id == leader.id })
        else { return }
        self.takeoverNotBefore = now &+ Self.takeoverInterval
        self.report("endpoint behind: connecting to another one")
        self.session?.assumeIsolated { $0.renew(to: racer.endpoint) }
    }

    /// Heads of the endpoint with authority go on: who has not pushed any for long has a subscription that died.
    func restartSilentRacers(below number: UInt64) {
        for racer in self.racers { racer.restartIfSilent(below: number) }
    }

    func tellDivergence(_ peer: PeerID, _ block: BlockRef) {
        guard let session = self.session, session.endpoints.indices.contains(peer.rawValue) else { return }
        let endpoint = session.endpoints[peer.rawValue]
        session.assumeIsolated { $0.pastMetrics.divergences += 1 }
        self.tellAll(.diverged(endpoint, block))
    }
}
