import EthereumTypes

/// The local name of an endpoint beside the one with authority.
package struct PeerID: Hashable, Sendable {
    package let rawValue: Int

    package init(rawValue: Int) { self.rawValue = rawValue }
}

// Endpoints beside the one with authority: they may add children of the tip and logs of open blocks, and take nothing back.
// The rules are in Docs/Semantics.md, "Racing".
extension ContinuityMachine {
    /// What is known of one of them.
    struct Peer: Sendable {
        let id: PeerID
        /// Its newest heads that have not been compared with the authority's chain, in the order in which they came.
        var heads: [ChainBlock] = []
        /// The highest block that it has announced, and of which it has pushed a log of a filter.
        var newest: UInt64 = 0
        var logged: [FilterID: UInt64] = [:]
        /// From this block on it pushes a filter's logs; `.max` until its next head says where it stands.
        var coversFrom: [FilterID: UInt64] = [:]
        /// For so many blocks it has to agree with the authority before it may add anything, and how many that were last.
        var probation = 0
        var penalty = 0
        /// Its head was not on the authority's chain; told once until it agrees again.
        var hasDiverged = false

        /// The most heads that wait.
        static let capacity = 32
        static let mostPenalty = 64

        var mayAdd: Bool { self.probation == 0 }
    }

    /// The most blocks that others may be ahead of the authority.
    package static let mostAhead: UInt64 = 32
    /// So many blocks below the authority's newest a head of another is compared with its chain.
    private static let depthOfComparison: UInt64 = 2

    /// The authority's newest block.
    package var settled: UInt64? { self.window.tip.map { $0.number - min(self.ahead, $0.number) } }

    /// The endpoint that is ahead of the authority, by so many blocks that it alone, or it first, has shown.
    package var leader: (id: PeerID, blocks: UInt64)? {
        guard self.ahead > 0, let origin = self.window.tip?.origin else { return nil }
        return (origin, self.ahead)
    }

    // MARK: - Facts

    mutating func peerAcknowledged(_ id: PeerID, _ filter: FilterID) {
        self.withPeer(id) { $0.coversFrom[filter] = .max }
    }

    mutating func peerHeadReceived(_ id: PeerID, _ header: BlockHeader) {
        guard header.hasNumber, header.hasHash, ChainBlock.isPlausible(header), !self.hashesDiffer,
            self.admits(peerHead: header)
        else { return }
        let block = ChainBlock(header, origin: id)
        self.withPeer(id) { peer in
            peer.newest = max(peer.newest, block.number)
            for (filter, from) in peer.coversFrom where from == .max {
                // Logs of blocks whose heads came around the acknowledgement may have been pushed before it.
                peer.coversFrom[filter] = block.number &+ Self.depthOfComparison
            }
            guard !peer.heads.contains(where: { $0.hash == block.hash }) else { return }
            if peer.heads.count >= Peer.capacity { peer.heads.removeFirst() }
            peer.heads.append(block)
        }
    }

    mutating func peerLogReceived(_ id: PeerID, _ filter: FilterID, _ log: Log) {
        guard !log.removed, let number = log.blockNumber, let hash = log.blockHash,
            let index = self.books.firstIndex(where: { $0.id == filter }),
            self.books[index].options.delivery == .pushed, self.books[index].filter.matches(log)
        else { return }
        var mayAdd = false
        self.withPeer(id) { peer in
            peer.logged[filter] = max(peer.logged[filter] ?? 0, number)
            mayAdd = peer.mayAdd
        }
        guard mayAdd, let tip = self.window.tip else { return }
        guard let block = self.window[number], self.window.contains(number, hash) else {
            let isNear = number <= tip.number &+ 64 && number &+ 64 >= tip.number
            if isNear { self.books[index].waitingOfPeers.add([log], number, hash) }
            return
        }
        guard let entry = self.books[index].entries[number], entry.state == .open, !entry.isDisputed,
            entry.isWhole, let place = entry.place(of: LogKey(log, seed: self.seed)),
            !self.isTold(number, beyond: place, of: filter),
            self.books[index].options.verify == .off
                || self.verifying.check.admits([log], in: block.header, areAll: false)
        else { return }
        _ = self.books[index].pushed([log], in: block)
    }

    mutating func forgetFilterOfPeers(_ filter: FilterID) {
        for index in self.peers.indices {
            self.peers[index].coversFrom[filter] = nil
            self.peers[index].logged[filter] = nil
        }
    }

    mutating func peerLost(_ id: PeerID) {
        self.withPeer(id) { peer in
            peer.heads = []
            peer.newest = 0
            peer.logged = [:]
            peer.coversFrom = [:]
        }
    }

    /// Whether a head may be used. Nothing is told of one that may not, and nothing learnt from one that may: the check's
    /// idea of the chain's hashes is the authority's.
    private func admits(peerHead header: BlockHeader) -> Bool {
        guard self.verifying.isOn else { return true }
        var check = self.verifying.check
        return header.isComplete && check.check(header) != .wrong
    }

    private mutating func withPeer(_ id: PeerID, _ change: (inout Peer) -> Void) {
        if let index = self.peers.firstIndex(where: { $0.id == id }) { return change(&self.peers[index]) }
        var peer = Peer(id: id)
        change(&peer)
        self.peers.append(peer)
    }

    /// Whether a consumer was told more of a block than what stands in front of a place in it.
    private func isTold(_ number: UInt64, beyond place: Int, of filter: FilterID) -> Bool {
        self.consumers.contains {
            $0.options.filter == filter
                && ($0.next == number ? $0.toldInBlock > place : $0.hasTold(number))
        }
    }

    // MARK: - The window

    /// What others announced becomes the tip where it is a child of it, and is compared with the authority's chain when that
    /// has come there.
    mutating func followPeers() {
        while self.ahead < Self.mostAhead, let tip = self.window.tip, let child = self.child(of: tip) {
            self.extend(child, isSettled: false)
        }
        guard self.isLevel, self.round == nil, self.suspect == nil, let settled = self.settled else { return }
        for index in self.peers.indices { self.compare(index, settled) }
    }

    private func child(of tip: ChainBlock) -> ChainBlock? {
        for peer in self.peers where peer.mayAdd {
            let child = peer.heads.first {
                $0.number == tip.number &+ 1 && self.window.links($0.number, parent: $0.parentHash)
            }
            if let child { return child }
        }
        return nil
    }

    private mutating func compare(_ index: Int, _ settled: UInt64) {
        var left: [ChainBlock] = []
        for head in self.peers[index].heads {
            guard head.number &+ Self.depthOfComparison <= settled else {
                left.append(head)
                continue
            }
            guard self.window[head.number] != nil else { continue }
            if self.window.contains(head.number, head.hash) {
                self.peers[index].probation -= min(self.peers[index].probation, 1)
                self.peers[index].hasDiverged = false
            } else if !self.peers[index].hasDiverged, self.divergenceToldAt != settled {
                self.peers[index].hasDiverged = true
                self.divergenceToldAt = settled
                self.actions.append(.diverged(self.peers[index].id, head.ref))
            }
        }
        if left.count < self.peers[index].heads.count { self.peers[index].heads = left }
    }

    /// The authority pushed a block that others had shown before.
    mutating func confirm(_ pushed: ChainBlock) {
        guard let known = self.window[pushed.number] else { return }
        let block = ChainBlock(pushed.header, pushOrder: pushed.pushOrder, origin: known.origin)
        self.window.replace(with: block)
        self.settle(to: block.number)
        for index in self.books.indices {
            self.books[index].confirmed(block, bloomsAreTrusted: self.bloomsAreTrusted)
        }
    }

    /// The authority has shown a block of the window, and so all below it. Of those that it has not pushed itself, another's
    /// header is known alone, bloom and all: they are asked for.
    mutating func settle(to number: UInt64) {
        guard self.ahead > 0, let tip = self.window.tip, number <= tip.number, number > tip.number - self.ahead else {
            return
        }
        for number in (tip.number - self.ahead + 1)...number where self.window[number]?.isOfPeer == true {
            for index in self.books.indices { self.books[index].suspect(number) }
        }
        self.ahead = tip.number - number
        self.move += 1
    }

    /// Blocks that others had put above the authority's newest leave the window: those who did add nothing for a while.
    mutating func withdrawPeers(above number: UInt64) {
        guard self.ahead > 0, let tip = self.window.tip, number < tip.number else { return }
        var contradicted: Set<PeerID> = []
        for number in (number + 1)...tip.number {
            if let origin = self.window[number]?.origin { contradicted.insert(origin) }
        }
        for index in self.peers.indices where contradicted.contains(self.peers[index].id) {
            self.peers[index].penalty = min(max(self.peers[index].penalty * 2, 1), Peer.mostPenalty)
            self.peers[index].probation = self.peers[index].penalty
        }
    }

    /// Whether the endpoint that brought a block has pushed what comes behind its logs of a filter.
    func isPassed(_ block: ChainBlock, _ filter: FilterID) -> Bool {
        guard let peer = self.peers.first(where: { $0.id == block.origin }), peer.mayAdd,
            let from = peer.coversFrom[filter], block.number >= from
        else { return false }
        return peer.newest >= block.number &+ 2 || peer.logged[filter] ?? 0 > block.number
    }
}
