/// Reads an HTTP/1 response that is to open a connection: its head, and of one that refuses the beginning of its body.
///
/// It takes facts and holds no bytes: what is not consumed is handed over again in front of the next, and is bounded by
/// ``HTTPHead/maxSize`` and ``UpgradeRefusal/maxBodySize``. What was decided stays decided.
struct ResponseReader: Sendable {
    /// What was asked for.
    enum Exchange: Hashable, Sendable {
        /// A WebSocket, which a 101 opens (RFC 6455 §4.1).
        case upgrade
        /// A tunnel through a proxy, which any 2xx opens (RFC 9110 §9.3.6).
        case tunnel

        /// Who answers.
        fileprivate var peer: String { self == .upgrade ? "the server" : "the proxy" }
        /// What is answered.
        fileprivate var question: String { self == .upgrade ? "the WebSocket handshake" : "CONNECT" }

        fileprivate func isAnswered(by status: Int) -> Bool {
            self == .upgrade ? status == 101 : (200..<300).contains(status)
        }
    }

    /// What follows from a fact.
    enum Action: Hashable, Sendable {
        case needMore
        /// The head that was hoped for, which ends in front of `end`.
        case head(HTTPHead, isHTTP11: Bool, end: Int)
        case refused(UpgradeRefusal)
        case failed(HandshakeError)
    }

    private enum State: Hashable, Sendable {
        case head
        case body(HTTPHead, status: Int, start: Int)
        case ended(Action)
    }

    private let exchange: Exchange
    private var state = State.head
    /// Where the current head begins; beyond zero after an interim response.
    private var start = 0
    private var scanned = 0
    private var receivedBytes = 0
    /// The first bytes that came, for the message if no more come.
    private var opening = ""
    private var refusal: UpgradeRefusal?

    init(_ exchange: Exchange) {
        self.exchange = exchange
    }

    /// All bytes that are there, from the first one that was not consumed.
    mutating func received(_ bytes: UnsafeRawBufferPointer) -> Action {
        self.receivedBytes = max(self.receivedBytes, bytes.count)
        while true {
            switch self.state {
            case .ended(let action):
                return action
            case .body(let head, let status, let start):
                return self.readBody(of: head, status: status, from: start, in: bytes)
            case .head:
                if let problem = self.foreignProtocol(in: bytes, from: self.start) { return self.end(.failed(problem)) }
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
    mutating func endOfStream() -> Action {
        let (peer, question) = (self.exchange.peer, self.exchange.question)
        return self.interrupted(
            HandshakeError(
                .endOfStream,
                self.receivedBytes == 0
                    ? "\(peer) closed the connection without answering \(question)"
                    : "\(peer) closed the connection inside its answer to \(question): \(self.opening)"
            )
        )
    }

    /// The caller's deadline was reached. A refusal whose body did not come to its end is told as far as it came.
    mutating func deadlineReached() -> Action {
        let question = self.exchange.question
        return self.interrupted(
            HandshakeError(
                .timedOut,
                self.receivedBytes == 0
                    ? "no answer to \(question) in time"
                    : "the answer to \(question) did not come to its end in time: \(self.opening)"
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
        if self.exchange.isAnswered(by: status) { return self.end(.head(head, isHTTP11: isHTTP11, end: end)) }
        if (100..<200).contains(status), status != 101 {
            // Interim responses precede the real one (RFC 9110 §15.2); they count towards the head's bound.
            self.start = end
            self.scanned = end
        } else {
            self.state = .body(head, status: status, start: end)
        }
        return nil
    }

    /// A head over the bound: if its status is known, that says more than its length.
    private mutating func headTooLong(_ bytes: UnsafeRawBufferPointer) -> Action {
        let head = HTTPHead(UnsafeRawBufferPointer(rebasing: bytes.dropFirst(self.start).prefix(HTTPHead.maxSize)))
        if let (status, _) = Self.status(head.startLine), status >= 200, !self.exchange.isAnswered(by: status) {
            return self.end(.refused(UpgradeRefusal(head, status: status, body: "")))
        }
        return self.end(
            .failed(
                HandshakeError(
                    .headTooLong,
                    "the response to \(self.exchange.question) exceeds \(HTTPHead.maxSize) bytes"
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
    private func foreignProtocol(in bytes: UnsafeRawBufferPointer, from start: Int) -> HandshakeError? {
        let bytes = UnsafeRawBufferPointer(rebasing: bytes.dropFirst(start))
        let opening = bytes.prefix(5)
        guard !opening.elementsEqual("HTTP/".utf8.prefix(opening.count)) else { return nil }
        let peer = self.exchange.peer
        let first = opening.first ?? 0
        let second = opening.dropFirst().first
        if first == 0x15 || first == 0x16, second == nil || second == 0x03 {
            let advice =
                self.exchange == .upgrade
                ? "use wss:// instead of ws://" : "https:// proxies are not supported, give the proxy's plain HTTP port"
            return HandshakeError(.notHTTP, "\(peer) speaks TLS on this port; \(advice)")
        }
        let excerpt = CleanText.line(bytes, limit: 64)
        return HandshakeError(.notHTTP, "\(peer) does not speak HTTP; its answer begins with: \(excerpt)")
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
        let refusal = UpgradeRefusal(head, status: status, body: body.text)
        self.refusal = refusal
        return body.isComplete ? self.end(.refused(refusal)) : .needMore
    }
}
