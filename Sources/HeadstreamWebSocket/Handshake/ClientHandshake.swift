/// A client's opening handshake (RFC 6455 §4.1): the request to send, and the reading of the answer.
///
/// It takes facts and holds no bytes: what ``received(_:)`` does not consume is handed over again in front of the
/// next, as with frames, and is bounded by ``HTTPHead/maxSize`` and ``UpgradeRefusal/maxBodySize``. The frames that
/// follow the 101 in the same read stay where they are, for ``FrameParser``.
package struct ClientHandshake: Sendable {
    /// What follows from a fact.
    package enum Action: Hashable, Sendable {
        /// Nothing yet. No bytes were consumed.
        case needMore
        /// The connection is open. The first `consumed` bytes were the handshake; frames begin behind them.
        case accepted(consumed: Int)
        /// The server answered something else. The connection is to be closed.
        case refused(UpgradeRefusal)
        /// The answer is none. The connection is to be closed.
        case failed(HandshakeError)
    }

    /// The bytes to send.
    package let request: [UInt8]
    /// Once it is accepted: what was agreed on about compression; nil for none.
    package private(set) var compression: DeflateAgreement?

    private let expectedAccept: String
    private let offer: DeflateOptions?
    private var reader = ResponseReader(.upgrade)

    /// Checks everything a user gave and builds the request.
    ///
    /// - Parameters:
    ///   - target: where to connect to, and what to say there.
    ///   - compression: what to offer of permessage-deflate; nil for no offer.
    ///   - fillRandom: fills the 16 bytes of the key from a secure generator.
    /// - Throws: ``HandshakeError/Code/invalidRequest`` if a value must not be sent. Its message names the value's
    ///   place and never the value.
    package init(
        to target: UpgradeTarget,
        compression: DeflateOptions? = nil,
        fillRandom: (UnsafeMutableRawBufferPointer) -> Void
    ) throws(HandshakeError) {
        var nonce = [UInt8](repeating: 0, count: 16)
        nonce.withUnsafeMutableBytes(fillRandom)
        let key = Base64.encode(nonce)
        self.expectedAccept = AcceptKey.answering(key)
        self.offer = compression
        self.request = try target.request(key: key, extensions: compression.map(DeflateNegotiation.offer))
    }

    /// All bytes that are there, from the first one that was not consumed.
    package mutating func received(_ bytes: UnsafeRawBufferPointer) -> Action {
        self.action(self.reader.received(bytes))
    }

    /// The stream ended.
    package mutating func endOfStream() -> Action {
        self.action(self.reader.endOfStream())
    }

    /// The caller's deadline for the handshake was reached. A refusal whose body did not come to its end is told as
    /// far as it came.
    package mutating func deadlineReached() -> Action {
        self.action(self.reader.deadlineReached())
    }

    private mutating func action(_ action: ResponseReader.Action) -> Action {
        switch action {
        case .needMore: .needMore
        case .head(let head, let isHTTP11, let end):
            if let error = self.problem(with: head, isHTTP11: isHTTP11) {
                .failed(error)
            } else {
                .accepted(consumed: end)
            }
        case .refused(let refusal): .refused(refusal)
        case .failed(let error): .failed(error)
        }
    }

    private mutating func problem(with head: HTTPHead, isHTTP11: Bool) -> HandshakeError? {
        if let defect = head.defect {
            return HandshakeError(.malformedHead, "malformed response to the WebSocket handshake: \(defect)")
        }
        func invalid(_ text: String) -> HandshakeError {
            HandshakeError(.invalidUpgrade, "the server's 101 response is invalid: \(text)")
        }
        guard isHTTP11 else { return invalid("it is not HTTP/1.1") }
        let upgrade = head.values(of: "Upgrade")
        guard upgrade.count == 1, upgrade[0].lowercased() == "websocket" else {
            return invalid(upgrade.count > 1 ? "two Upgrade headers" : "no “Upgrade: websocket”")
        }
        guard head.list(of: "Connection").contains("upgrade") else { return invalid("no “Connection: Upgrade”") }
        let accept = head.values(of: "Sec-WebSocket-Accept")
        guard accept.count == 1 else {
            return invalid(accept.isEmpty ? "no Sec-WebSocket-Accept" : "two Sec-WebSocket-Accept headers")
        }
        guard accept[0] == self.expectedAccept else { return invalid("its Sec-WebSocket-Accept is wrong") }
        switch DeflateNegotiation.agreement(on: self.offer, answer: head.values(of: "Sec-WebSocket-Extensions")) {
        case .success(let agreement): self.compression = agreement
        case .failure(.malformed): return invalid("a malformed Sec-WebSocket-Extensions")
        case .failure(.notAskedFor): return invalid("an extension nobody asked for")
        case .failure(.invalidParameter): return invalid("a parameter of permessage-deflate that was not offered")
        }
        guard head.list(of: "Sec-WebSocket-Protocol").isEmpty else { return invalid("a subprotocol nobody asked for") }
        return nil
    }
}
