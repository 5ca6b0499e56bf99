/// The closing handshake of a connection (RFC 6455 §7), for either end.
///
/// It takes facts and returns what to do. After its first close frame an end sends no frame any more and delivers no
/// message. The server ends the TCP connection first; the client waits for that, until a deadline of the caller's.
package struct ClosingHandshake: Sendable {
    /// What follows from a fact. Where a close frame is sent, the caller starts the deadline of the close, once.
    package enum Action: Hashable, Sendable {
        case none
        /// Append a close frame; then wait.
        case sendClose(code: UInt16?, reason: String)
        /// Append a close frame and finish writing; then wait for the end of the stream.
        case sendCloseAndFinishWriting(code: UInt16?, reason: String)
        /// Finish writing; then wait for the end of the stream.
        case finishWriting
        /// It is over: close the channel and tell the user.
        case end(WebSocketEnd)
    }

    private enum State: Hashable, Sendable {
        case open
        /// Our close frame went out, the peer's has not come.
        case closeSent
        /// Nothing more is expected but the end of the stream.
        case finishing
        case ended
    }

    private let role: WebSocketRole
    private var state = State.open

    /// How it ends, as soon as that is known: with the peer's close frame, not with the end of the stream after it.
    /// So what waits for an answer can fail at once.
    package private(set) var end: WebSocketEnd?

    package init(role: WebSocketRole) {
        self.role = role
    }

    /// Whether messages are still delivered and frames, pongs included, still sent.
    package var isOpen: Bool { self.state == .open }

    /// Whether the connection is over.
    package var isEnded: Bool { self.state == .ended }

    /// This end wants to close.
    ///
    /// - Parameters:
    ///   - code: as in the close frame; nil for none.
    ///   - reason: for the peer; cut at 123 bytes when it is written.
    package mutating func close(code: UInt16?, reason: String) -> Action {
        guard self.state == .open else { return .none }
        self.state = .closeSent
        return .sendClose(code: code, reason: reason)
    }

    /// The peer's close frame came (``FrameParser/Event/close(_:_:)``).
    package mutating func receivedClose(code: UInt16?, reason: UnsafeRawBufferPointer) -> Action {
        guard self.state == .open || self.state == .closeSent else { return .none }
        let isOurs = self.state == .closeSent
        self.end = WebSocketEnd(
            cause: isOurs ? .local : .peer,
            code: code ?? CloseCode.noStatus,
            reason: CleanText.line(reason, limit: FrameWriter.maxControlPayload),
            isClean: true
        )
        self.state = .finishing
        if isOurs { return self.role == .server ? .finishWriting : .none }
        // The peer's code goes back (§5.5.1).
        return self.role == .server
            ? .sendCloseAndFinishWriting(code: code, reason: "") : .sendClose(code: code, reason: "")
    }

    /// The peer broke a rule (``FrameParser/Event/failed(_:)``): it is told why, and the connection ends (§7.1.7).
    package mutating func failed(_ error: WebSocketError) -> Action {
        switch self.state {
        case .open:
            self.end = WebSocketEnd(cause: .violation(error), code: CloseCode.abnormal, reason: "", isClean: false)
            self.state = .finishing
            return self.role == .server
                ? .sendCloseAndFinishWriting(code: error.closeCode, reason: error.message)
                : .sendClose(code: error.closeCode, reason: error.message)
        case .closeSent:
            // Ours is out, and no answer to it can be read any more.
            return self.finish(cause: .local)
        case .finishing, .ended:
            return .none
        }
    }

    /// The stream ended, in order or not.
    package mutating func endOfStream() -> Action {
        self.finish(cause: self.state == .closeSent ? .local : .streamEnded)
    }

    /// The deadline of the close was reached.
    package mutating func deadlineReached() -> Action {
        self.state == .open ? .none : self.finish(cause: .local)
    }

    private mutating func finish(cause: WebSocketEnd.Cause) -> Action {
        guard self.state != .ended else { return .none }
        self.state = .ended
        let end = self.end ?? WebSocketEnd(cause: cause, code: CloseCode.abnormal, reason: "", isClean: false)
        self.end = end
        return .end(end)
    }
}
