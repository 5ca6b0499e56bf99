/// What a channel with TLS has beyond one without. Confined to its loop.
final class ChannelTLS {
    enum Phase {
        /// A client's context is being made.
        case waiting(TLSClient)
        case handshaking(TLSEngine)
        case secured(TLSEngine)
        case failed
    }

    var phase: Phase
    /// For errors.
    let name: String
    /// Bytes for the socket that it has not taken: ciphertext, and in front of it what was written before TLS. Nothing
    /// may overtake them.
    private(set) var unsent: WriteBuffer?
    /// The peer's end, or a failure, found behind bytes that are delivered first.
    var end: ChannelEnd?
    /// A client's hello was made.
    var hasBegun = false
    /// Whether anything of the peer's handshake has come.
    var hasReceived = false
    /// The peer was told that nothing more is written.
    var hasSaidFarewell = false

    init(_ phase: Phase, name: String) {
        self.phase = phase
        self.name = name
    }

    var unsentCount: Int { self.unsent?.count ?? 0 }

    func keepUnsent(_ bytes: UnsafeRawBufferPointer) {
        if bytes.isEmpty { return }
        let buffer = self.unsent ?? WriteBuffer()
        buffer.append(bytes)
        self.unsent = buffer
    }

    func dropUnsent() {
        self.unsent = nil
    }

    /// Nothing can be read before there is a context.
    var isWaitingForContext: Bool {
        if case .waiting = self.phase { true } else { false }
    }

    var isSecured: Bool {
        if case .secured = self.phase { true } else { false }
    }

    var engine: TLSEngine? {
        switch self.phase {
        case .handshaking(let engine), .secured(let engine): engine
        case .waiting, .failed: nil
        }
    }
}
