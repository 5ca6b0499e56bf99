import EthereumTypes

/// What stands in for the answer to `latest` on one connection, where the node gives none.
struct WithoutLatest {
    /// The first and the newest head that were pushed.
    fileprivate var first: BlockHeader?
    fileprivate var newest: BlockHeader?
    /// Refusals in a row.
    fileprivate var refusals = 0
    /// A request that waits for a head in place of its answer.
    fileprivate var waiting: (request: ChainRequest, answers: [ChainAnswer])?

    /// Whether nothing can be told before a head is pushed.
    var isWaiting: Bool { self.waiting != nil }
}

// Everything stands on `latest`, and some nodes do not tell it: replays whose recording does not hold it, proxies that let
// nothing but subscriptions through. Such a node is followed from its first pushed head, and its newest one is its `latest`.
extension ContinuityEngine {
    /// A node that knows no newest block at all says `null`, and is taken at its word. An error may pass.
    private static let mostRefusals = 3

    /// Hands an answer to the machine, with a pushed head in the place of a `latest` that the node does not tell.
    func answered(_ request: ChainRequest, _ answers: [ChainAnswer]) {
        guard request.calls.first == .header(.latest), let latest = answers.first else {
            return self.handle(.answered(request.token, answers))
        }
        switch latest {
        case .header(nil):
            self.withoutLatest.refusals = Self.mostRefusals
        case .failure(.other):
            self.withoutLatest.refusals = min(self.withoutLatest.refusals + 1, Self.mostRefusals)
        case .failure:
            break
        case .header, .logs, .logKeys:
            self.withoutLatest.refusals = 0
        }
        guard self.withoutLatest.refusals >= Self.mostRefusals else {
            return self.handle(.answered(request.token, answers))
        }
        guard let head = self.machine.tip == nil ? self.withoutLatest.first : self.withoutLatest.newest else {
            self.withoutLatest.waiting = (request, answers)
            // A replay may be over by now.
            return self.settle()
        }
        self.answer(request, answers, with: head)
    }

    /// Another connection has taken the place of the last: its node may tell what the last one did not.
    func renewedForLatest() {
        self.withoutLatest.refusals = 0
        guard let (request, answers) = self.withoutLatest.waiting else { return }
        self.withoutLatest.waiting = nil
        self.handle(.answered(request.token, answers))
    }

    /// A head was pushed, and the machine told.
    func noteForLatest(_ head: BlockHeader) {
        guard head.hasNumber, head.hasHash else { return }
        self.withoutLatest.first = self.withoutLatest.first ?? head
        self.withoutLatest.newest = head
        guard let (request, answers) = self.withoutLatest.waiting else { return }
        self.withoutLatest.waiting = nil
        self.answer(request, answers, with: head)
    }

    private func answer(_ request: ChainRequest, _ answers: [ChainAnswer], with head: BlockHeader) {
        if self.machine.tip == nil {
            // Streams that begin above the newest block begin with the first that is heard of.
            for consumer in self.machine.consumers where consumer.state == .starting {
                guard case .latest = consumer.options.origin else { continue }
                var options = consumer.options
                options.origin = .block(head.number)
                self.handle(.left(consumer.id))
                self.handle(.joined(consumer.id, options))
            }
        }
        // Heads that came before the node was asked are no news to the machine by themselves: it is to ask again.
        if let newest = self.withoutLatest.newest, newest.hash != head.hash { self.handle(.stalled) }
        self.handle(.answered(request.token, [.header(head)] + answers.dropFirst()))
    }
}
