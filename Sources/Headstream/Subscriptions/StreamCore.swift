import HeadstreamRPC

/// What every iterator over notifications is made of: takes bytes from its own batch, decodes them, and suspends only
/// to refill.
///
/// It belongs to one iterator and so to one task at a time; it is no `Sendable`, and a second `next()` while one is
/// suspended throws. Its functions run on their caller's executor, and so do the iterators' `next(isolation:)`: to switch
/// executors for each element costs more than the element (Docs/Runtime.md).
final class StreamCore<Decoder: NotificationDecoder> {
    private enum State {
        /// Cold: the subscription is made by the first `next()`. Boxed, so that to copy the state is to copy a reference.
        indirect case cold(Session, any SubscriptionRequest, BufferOptions)
        case running(SubscriptionLease)
        case finished
    }

    private var state: State
    // What each item goes through is not checked for overlapping accesses at run time: one task has it at a time, and no
    // access lasts beyond a call.
    @exclusivity(unchecked) private var reader: SubscriptionReader
    @exclusivity(unchecked) private var decoder: Decoder
    private var isSuspended = false
    /// The item behind what was given last, which could not be read: told next.
    private var unreadable: Web3Error?
    /// Items that may still be taken before the clock is looked at; see ``giveTurn(_:)``.
    @exclusivity(unchecked) private var credit = 0
    private var batchBegan: UInt64 = 0

    /// Looked at the clock every so many items.
    private static var creditSize: Int { 64 }
    /// How long a consumer on the loop may go on without a turn for the loop, in nanoseconds.
    private static var patience: UInt64 { 1_000_000 }

    /// A stream that subscribes when it is first asked.
    init(_ session: Session, _ request: any SubscriptionRequest, _ options: BufferOptions, _ decoder: Decoder) {
        self.state = .cold(session, request, options)
        self.reader = SubscriptionReader(SubscriptionBuffer(limit: 0, policy: .fail))
        self.decoder = decoder
    }

    /// A stream over a subscription that is there.
    init(_ lease: SubscriptionLease, _ decoder: Decoder) {
        self.state = .running(lease)
        self.reader = SubscriptionReader(lease.buffer)
        self.decoder = decoder
    }

    /// A stream that has already ended.
    init(finished decoder: Decoder) {
        self.state = .finished
        self.reader = SubscriptionReader(SubscriptionBuffer(limit: 0, policy: .fail))
        self.decoder = decoder
    }

    // MARK: Items

    /// The next item. Losses are passed over; an item that cannot be read is thrown, and the stream goes on behind it.
    func nextItem() async throws(Web3Error) -> Decoder.Element? {
        while true {
            if let item = self.itemInHand() { return item }
            guard try await self.refill() else { return nil }
        }
    }

    /// The next record in hand, while there is credit.
    @inline(__always)
    private func takeRecord() -> UnsafeRawBufferPointer? {
        guard self.credit > 0, let record = self.reader.next() else { return nil }
        self.credit &-= 1
        return record
    }

    /// The next item where it is there and can be read; nil asks for ``refill()``.
    private func itemInHand() -> Decoder.Element? {
        guard let record = self.takeRecord() else { return nil }
        do throws(ValueError) {
            return try self.decoder.decode(record)
        } catch {
            self.setAside(record, error)
            return nil
        }
    }

    /// The same into an empty item; false asks for ``refill()``, and the item then holds anything.
    ///
    /// Apart, and not `async`, so that the iterators' `next()` can be inlined where they are used: then a loop over what is
    /// there makes no asynchronous call.
    @inline(__always)
    func takeItem(into item: inout Decoder.Element) -> Bool where Decoder: InPlaceDecoder {
        guard let record = self.takeRecord() else { return false }
        do throws(ValueError) {
            try self.decoder.decode(record, into: &item)
            return true
        } catch {
            self.setAside(record, error)
            return false
        }
    }

    /// Waits for more where nothing is left in hand; false at the end. Throws what could not be read. Behind it an
    /// item is asked for again, and there may be none yet.
    ///
    /// An item that an asynchronous function returns is copied on its way, more than once: this one returns none. It is
    /// inlined, as ``prepare()`` is, so that a wake-up goes back through one frame.
    @inline(__always)
    func refill() async throws(Web3Error) -> Bool {
        if let error = self.unreadable {
            self.unreadable = nil
            throw error
        }
        if self.credit <= 0 || !self.reader.hasMore {
            guard try await self.prepare() else { return false }
        }
        _ = self.reader.takeLoss()
        return true
    }

    /// What could not be read is told next, and so is a lost connection; other markers are for those who want updates.
    @inline(never)
    private func setAside(_ record: UnsafeRawBufferPointer, _ error: ValueError) {
        switch StreamMarker(record) {
        case .disconnected(let error): self.unreadable = error
        case .reconnected, .refused: break
        case nil: self.unreadable = self.told(error)
        }
    }

    /// The next item or event.
    func nextUpdate() async throws(Web3Error) -> SubscriptionUpdate<Decoder.Element>? {
        while true {
            if self.credit > 0, let loss = self.reader.takeLoss() {
                return .lagged(count: loss.count, blocks: loss.records.flatMap { self.blocks(of: $0) })
            }
            if let record = self.takeRecord() {
                do throws(ValueError) {
                    return .item(try self.decoder.decode(record))
                } catch {
                    return self.update(record, error)
                }
            }
            guard try await self.prepare() else { return nil }
        }
    }

    @inline(never)
    private func update(
        _ record: UnsafeRawBufferPointer,
        _ error: ValueError
    ) -> SubscriptionUpdate<Decoder.Element> {
        switch StreamMarker(record) {
        case .disconnected(let error): .disconnected(error)
        case .reconnected: .reconnected
        case .refused(let error): .refused(error)
        case nil: .undecodable(self.told(error))
        }
    }

    /// What is there now: at least one item, at most `limit`; waits only where there is nothing.
    ///
    /// Losses are passed over. An item that cannot be read ends the batch: those before it are given, then it is thrown,
    /// then the stream goes on.
    func nextBatch(upTo limit: Int) async throws(Web3Error) -> [Decoder.Element]? {
        var items: [Decoder.Element] = []
        while self.unreadable == nil {
            if self.credit <= 0 || self.reader.count == 0 {
                guard try await self.prepare() else { return nil }
            }
            self.take(&items, upTo: limit)
            if !items.isEmpty { return items }
        }
        guard let error = self.unreadable else { return nil }
        self.unreadable = nil
        throw error
    }

    /// Takes what is in hand, and then what the loop has filled meanwhile, without waiting for more.
    private func take(_ items: inout [Decoder.Element], upTo limit: Int) {
        repeat {
            _ = self.reader.takeLoss()
            items.reserveCapacity(min(limit, items.count + self.reader.count))
            while items.count < limit, let record = self.reader.next() {
                do throws(ValueError) {
                    items.append(try self.decoder.decode(record))
                } catch {
                    self.setAside(record, error)
                    if self.unreadable != nil { return }
                }
            }
        } while items.count < limit && self.refillAtOnce()
        self.credit -= items.count
    }

    /// Swaps the drained batch for what is there; an end is left for the next call to tell.
    private func refillAtOnce() -> Bool {
        guard case .running(let lease) = self.state, case .filled(let resumesReading) = self.reader.refill() else {
            return false
        }
        if resumesReading { lease.session.consumerDrained() }
        return true
    }

    @inline(never)
    private func told(_ error: ValueError) -> Web3Error {
        let error = Web3Error(error, in: "notification")
        guard case .running(let lease) = self.state else { return error }
        return error.redacted(by: lease.session.secrets)
    }

    /// The blocks from that of the first to that of the last of the lost notifications.
    @inline(never)
    private func blocks(of lost: LostRecords) -> ClosedRange<UInt64>? {
        let first = lost.withFirst { self.block(of: $0) }
        let last = lost.withLast { self.block(of: $0) }
        guard let one = first ?? last, let other = last ?? first else { return nil }
        return min(one, other)...max(one, other)
    }

    private func block(of record: UnsafeRawBufferPointer) -> UInt64? {
        guard let item = try? self.decoder.decode(record) else { return nil }
        return self.decoder.block(of: item)
    }

    // MARK: Refilling

    /// Sees to it that there is something in hand, and credit to take it with.
    ///
    /// - Returns: whether there is; if not, the stream is over.
    @inline(__always)
    private func prepare() async throws(Web3Error) -> Bool {
        guard !self.isSuspended else {
            throw Web3Error(.misuse, "a second next() on one iterator while the first is suspended")
        }
        self.isSuspended = true
        defer { self.isSuspended = false }
        if Task.isCancelled {
            self.finish()
            return false
        }
        if case .cold = self.state { try await self.subscribe() }
        guard case .running(let lease) = self.state else { return false }
        if self.reader.hasMore {
            await self.giveTurn(lease)
            return true
        }
        while true {
            switch try self.swapBatch(lease) {
            case .filled: return true
            case .ended: return false
            case .empty: await lease.buffer.wait()
            }
            if Task.isCancelled {
                self.finish()
                return false
            }
        }
    }

    // Apart, since what happens once or seldom, or does not wait, has no room in the frame of each wake-up: a thousand
    // consumers have one each, and none of them stays in a near cache.

    /// What a swap of the drained batch for what the loop has filled came to.
    private enum Swap {
        case filled
        case ended
        case empty
    }

    @inline(never)
    private func swapBatch(_ lease: SubscriptionLease) throws(Web3Error) -> Swap {
        switch self.reader.refill() {
        case .filled(let resumesReading):
            if resumesReading { lease.session.consumerDrained() }
            if lease.session.loop.isCurrent { self.batchBegan = lease.session.loop.now.nanoseconds }
            self.credit = Self.creditSize
            return .filled
        case .ended(let end):
            self.finish()
            if case .failed(let error) = end, !lease.session.endsQuietly(error) { throw lease.session.error(error) }
            return .ended
        case .empty:
            return .empty
        }
    }

    /// Makes the subscription of a stream that is cold.
    @inline(never)
    private func subscribe() async throws(Web3Error) {
        guard case .cold(let session, let request, let options) = self.state else { return }
        self.state = .finished
        let lease: SubscriptionLease
        do throws(Web3Error) {
            lease = try await SubscriptionLease.take(request, options, in: session, isShared: request.isShareable)
        } catch {
            // A cancelled iterator ends; it does not throw, also not the loss of a connection whose successor it no
            // longer waits for.
            if Task.isCancelled { return }
            throw error
        }
        self.state = .running(lease)
        self.reader = SubscriptionReader(lease.buffer)
    }

    /// On the loop, a consumer that has gone on for a millisecond lets the loop have its turn, so that pongs go out.
    @inline(never)
    private func giveTurn(_ lease: SubscriptionLease) async {
        self.credit = Self.creditSize
        let loop = lease.session.loop
        // Asked each time: an iterator may be taken elsewhere between two elements.
        guard loop.isCurrent, loop.now.nanoseconds &- self.batchBegan > Self.patience else { return }
        await withCheckedContinuation { continuation in
            // Not `Task.yield()`: that goes through the global pool and comes back when a thread of it had time.
            guard loop.isCurrent else { return continuation.resume() }
            loop.atTurnEnd { continuation.resume() }
        }
        self.batchBegan = loop.now.nanoseconds
    }

    /// Lets go of the subscription; nothing comes any more.
    private func finish() {
        self.state = .finished
        self.credit = 0
    }
}
