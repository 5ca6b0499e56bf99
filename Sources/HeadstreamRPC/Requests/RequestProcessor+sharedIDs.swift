// Servers that give equal requests one id (Solana's do): one notification comes for all of them, and one unsubscribe
// request may end all of them, or only count down, as the server has it. Both are served:
//
// - While others hold the id, nothing is unsubscribed: a consumer's leaving must not end its neighbours' streams.
// - While a subscribe request waits, nothing is unsubscribed either: its answer may bear the same id, which the server
//   would have ended behind that answer.
// - One unsubscribe request goes out. Where notifications come on all the same, the server counts, and another one goes
//   out, at most as many as there were acknowledgements.
extension RequestProcessor {
    /// An id that nobody holds any more.
    struct Departure {
        var serverID: [UInt8]
        var isQuoted: Bool
        var methods: SubscriptionMethods
        var waiter: Waiter
        /// How often the server acknowledged it.
        var shares = 1
    }

    /// An id that was unsubscribed once, and may be held by the server still.
    struct Lingering {
        var departure: Departure
        var remaining: Int
    }

    /// So many ids are remembered at most that a counting server may still hold.
    private static var maxLingering: Int { 1024 }

    /// The last consumer of an id has left: tells the server, now or when no subscribe request may get that id.
    mutating func depart(
        _ departure: Departure,
        shares: Int,
        now: UInt64,
        actions: inout RequestProcessorActions
    ) {
        guard departure.methods.sharesIDs else {
            return self.sendUnsubscribe(departure, now: now, actions: &actions)
        }
        var departure = departure
        departure.shares = shares
        if self.pendingShared > 0, self.closed == nil {
            // For its consumer it is over now.
            self.resume(departure.waiter, .success(ResponseBytes("true")), &actions)
            departure.waiter = .nobody
            self.waitingDepartures.append(departure)
        } else {
            self.departShared(departure, now: now, &actions)
        }
    }

    /// The last subscribe request of its kind was answered or given up: ids that still have nobody are unsubscribed.
    mutating func departWaiting(_ actions: inout RequestProcessorActions) {
        let departures = self.waitingDepartures
        self.waitingDepartures = []
        for departure in departures {
            let holder = departure.serverID.withUnsafeBytes { self.table.find($0) }
            if let holder {
                // The id lives on with another consumer, who inherits what the server counts.
                holder.pointee.shares += departure.shares
            } else {
                self.departShared(departure, now: self.clock, &actions)
            }
        }
    }

    private mutating func departShared(
        _ departure: Departure,
        now: UInt64,
        _ actions: inout RequestProcessorActions
    ) {
        if departure.shares > 1, self.lingering.count < Self.maxLingering {
            var rest = departure
            rest.waiter = .nobody
            self.lingering[departure.serverID] = Lingering(departure: rest, remaining: departure.shares - 1)
        }
        self.sendUnsubscribe(departure, now: now, actions: &actions)
    }

    /// A notification came on an id that was unsubscribed: its server counts, so it is told once more.
    mutating func endLingering(_ id: UnsafeRawBufferPointer, now: UInt64, actions: inout RequestProcessorActions) {
        guard self.pendingShared == 0, var lingering = self.lingering.removeValue(forKey: Array(id)) else { return }
        lingering.remaining -= 1
        if lingering.remaining > 0 { self.lingering[Array(id)] = lingering }
        self.sendUnsubscribe(lingering.departure, now: now, actions: &actions)
    }

    private mutating func sendUnsubscribe(
        _ departure: Departure,
        now: UInt64,
        actions: inout RequestProcessorActions
    ) {
        self.sendUnsubscribe(
            departure.serverID,
            isQuoted: departure.isQuoted,
            departure.methods,
            waiter: departure.waiter,
            now: now,
            actions: &actions
        )
    }
}
