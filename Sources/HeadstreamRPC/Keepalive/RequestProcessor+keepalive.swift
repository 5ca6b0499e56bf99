extension RequestProcessor {
    /// A request that asks whether the connection lives; nobody waits for its answer, and an error is one too.
    ///
    /// It goes out at once, beside the window of ``Limits/maxInFlight``: a hundred slow calls in front of it are not to
    /// make a live connection look dead.
    package mutating func ask(
        _ id: RequestID,
        text: [UInt8],
        now: UInt64,
        deadline: UInt64,
        actions: inout RequestProcessorActions
    ) {
        guard self.isOpen else { return }
        let entry = Entry(purpose: .call(.nobody), group: id, groupCount: 1, isOnWire: true, began: now)
        self.entries.insert(entry, for: id)
        self.deadlines.insert(id, at: deadline)
        self.statistics.requests &+= 1
        self.inFlight += 1
        actions.messages.append(.init(id: id, request: .whole(text)))
    }
}
