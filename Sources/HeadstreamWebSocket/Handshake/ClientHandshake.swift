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

    private enum State: Hashable, Sendable {
        case head
        case body(HTTPHead, status: Int, start: Int)
        case ended(Action)
    }

    /// The bytes to send.
    package let request: [UInt8]
    /// Once it is accepted: what was agreed on about compression; nil for none.
    package private(set) var compression: DeflateAgreement?

    private let expectedAccept: String
    private let offer: DeflateOptions?
    private var state = State.head
    /// Where the current head begins; beyond zero after an interim response.
    private var start = 0
    private var scanned = 0
    private var receivedBytes = 0
    /// The first bytes that came, for the message if no more come.
    private var opening = ""
    private var refusal: UpgradeRefusal?

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
        self.receivedBytes = max(self.receivedBytes, bytes.count)
        while true {
            switch self.state {
            case .ended(let action):
                return action
            case .body(let head, let status, let start):
                return self.readBody(of: head, status: status, from: start, in: bytes)
            case .head:
                if let problem = Self.foreignProtocol(in: bytes, from: self.start) { return self.end(.failed(problem)) }
                self.opening = CleanText.line(bytes, limit: 64)
                guard let end = HTTPHead.end(in: bytes, from: self.start, scanned: &self.scanned),
                    end <= HTTPHead.maxSize
                else {
                    guard bytes.count >= HTTPHead.maxSize else { return .needMore }
                    return self.headTooLong(bytes)
                }
                let head = HTTPHead(UnsafeRawBufferPointer(rebasing: bytes[self.start..<end]))
                if let action = self.readHead(head, end: end) { return action }
            }
        }
    }

    /// The stream ended.
    package mutating func endOfStream() -> Action {
        self.interrupted(
            HandshakeError(
                .endOfStream,
                self.receivedBytes == 0
                    ? "the server closed the connection without answering the WebSocket handshake"
                    : "the server closed the connection inside its answer to the WebSocket handshake: \(self.opening)"
            )
        )
    }

    /// The caller's deadline for the handshake was reached. A refusal whose body did not come to its end is told as
    /// far as it came.
    package mutating func deadlineReached() -> Action {
        self.interrupted(
            HandshakeError(
                .timedOut,
                self.receivedBytes == 0
                    ? "no answer to the WebSocket handshake in time"
                    : "the answer to the WebSocket handshake did not come to its end in time: \(self.opening)"
            )
        )
    }

    private mutating func interrupted(_ error: HandshakeError) -> Action {
        if case .ended(let action) = self.state { return action }
        if let refusal = self.refusal { return self.end(.refused(refusal)) }
        return self.end(.failed(error))
    }

    private mutating func end(_ action: Action) -> Action {
        self.state = .ended(action)
        return action
    }

    // MARK: The head

    /// Reads a complete head. Returns nil if the state has moved on and the bytes are to be looked at again.
    private mutating func readHead(_ head: HTTPHead, end: Int) -> Action? {
        guard let (status, isHTTP11) = Self.status(head.startLine) else {
            return self.end(
                .failed(HandshakeError(.malformedHead, "malformed HTTP status line: \(CleanText.line(head.startLine))"))
            )
        }
        switch status {
        case 101:
            if let error = self.problem(with: head, isHTTP11: isHTTP11) { return self.end(.failed(error)) }
            return self.end(.accepted(consumed: end))
        case 100..<200:
            // Interim responses precede the real one (RFC 9110 §15.2); they count towards the head's bound.
            self.start = end
            self.scanned = end
            return nil
        default:
            self.state = .body(head, status: status, start: end)
            return nil
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

    /// A head over the bound: if its status is known, that says more than its length.
    private mutating func headTooLong(_ bytes: UnsafeRawBufferPointer) -> Action {
        let head = HTTPHead(UnsafeRawBufferPointer(rebasing: bytes.dropFirst(self.start).prefix(HTTPHead.maxSize)))
        if let (status, _) = Self.status(head.startLine), status >= 200 {
            return self.end(.refused(Self.refusal(head, status: status, body: "")))
        }
        return self.end(
            .failed(
                HandshakeError(
                    .headTooLong,
                    "the response to the WebSocket handshake exceeds \(HTTPHead.maxSize) bytes"
                )
            )
        )
    }

    /// `HTTP/1.1 101 Switching Protocols`: the status, and whether the version is 1.1.
    private static func status(_ line: String) -> (status: Int, isHTTP11: Bool)? {
        let parts = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count >= 2, parts[0].hasPrefix("HTTP/"), parts[1].utf8.count == 3,
            parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }), let status = Int(parts[1]), status >= 100
        else { return nil }
        return (status, parts[0] == "HTTP/1.1")
    }

    /// Says what speaks there, as soon as the first bytes cannot be an HTTP response.
    private static func foreignProtocol(in bytes: UnsafeRawBufferPointer, from start: Int) -> HandshakeError? {
        let bytes = UnsafeRawBufferPointer(rebasing: bytes.dropFirst(start))
        let opening = bytes.prefix(5)
        guard !opening.elementsEqual("HTTP/".utf8.prefix(opening.count)) else { return nil }
        let first = opening.first ?? 0
        let second = opening.dropFirst().first
        if first == 0x15 || first == 0x16, second == nil || second == 0x03 {
            return HandshakeError(.notHTTP, "the server speaks TLS on this port; use wss:// instead of ws://")
        }
        let excerpt = CleanText.line(bytes, limit: 64)
        return HandshakeError(.notHTTP, "the server does not speak HTTP; its answer begins with: \(excerpt)")
    }

    // MARK: The body of a refusal

    private mutating func readBody(
        of head: HTTPHead,
        status: Int,
        from start: Int,
        in bytes: UnsafeRawBufferPointer
    ) -> Action {
        let raw = UnsafeRawBufferPointer(rebasing: bytes.dropFirst(start))
        let body = RefusalBody(raw, head: head, status: status)
        let refusal = Self.refusal(head, status: status, body: body.text)
        self.refusal = refusal
        return body.isComplete ? self.end(.refused(refusal)) : .needMore
    }

    private static func refusal(_ head: HTTPHead, status: Int, body: String) -> UpgradeRefusal {
        let parts = head.startLine.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        return UpgradeRefusal(
            status: status,
            reason: parts.count == 3 ? CleanText.line(String(parts[2])) : "",
            retryAfter: head.first("Retry-After").map { CleanText.line($0) },
            location: head.first("Location").map { CleanText.line($0) },
            body: body
        )
    }
}
