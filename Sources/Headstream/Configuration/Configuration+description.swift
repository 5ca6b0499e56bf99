extension Configuration: CustomStringConvertible, CustomReflectable {
    /// The settings without what may be secret: of headers the names, of the environment nothing, of a proxy the host
    /// and port.
    public var description: String {
        "Configuration(" + self.shown.map { "\($0.label): \($0.value)" }.joined(separator: ", ") + ")"
    }

    /// `dump` shows no more than the description does.
    public var customMirror: Mirror {
        Mirror(self, children: self.shown.map { (label: $0.label, value: $0.value as Any) })
    }

    private var shown: [(label: String, value: String)] {
        [
            ("connectTimeout", "\(self.connectTimeout)"), ("requestTimeout", "\(self.requestTimeout)"),
            ("closeTimeout", "\(self.closeTimeout)"), ("keepalive", "\(self.keepalive)"), ("proxy", "\(self.proxy)"),
            ("maxMessageSize", "\(self.maxMessageSize)"), ("maxUnsentBytes", "\(self.maxUnsentBytes)"),
            ("maxInFlight", "\(self.maxInFlight)"), ("maxQueuedRequests", "\(self.maxQueuedRequests)"),
            ("maxBatch", "\(self.maxBatch)"), ("maxOrphanBytes", "\(self.maxOrphanBytes)"),
            ("bufferLimit", "\(self.bufferLimit)"), ("whenFull", "\(self.whenFull)"), ("userAgent", self.userAgent),
            ("headers", self.headers.isEmpty ? "none" : self.headers.map { "\($0.name): ***" }.joined(separator: "; ")),
        ]
    }
}
