public import HeadstreamJSON
import HeadstreamRPC
import HeadstreamSockets
import HeadstreamWebSocket

/// What went wrong, and what to do about it.
///
/// The description holds no credentials, paths or queries of URLs, and no control characters of a node's.
public struct Web3Error: Error, Hashable, Sendable {
    /// The kinds of failure, for decisions.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        public let description: String

        init(_ description: String) {
            self.description = description
        }

        /// The endpoint is no URL or path that can be connected to. Correct it.
        public static let invalidEndpoint = Code("invalidEndpoint")
        /// No connection came about: nobody listens, the name is unknown, the network is down.
        public static let cannotConnect = Code("cannotConnect")
        /// The server's certificate is not one to trust: its authority is unknown, it is for another host, it has expired.
        public static let certificateRejected = Code("certificateRejected")
        /// TLS did not come about for another reason: the other side does not speak it, or in old versions only, or wants
        /// a client certificate; or the certificates of ``Configuration/tls`` cannot be used.
        public static let tlsFailed = Code("tlsFailed")
        /// The other side answered the WebSocket handshake with something else; ``httpStatus`` tells its status.
        public static let upgradeRefused = Code("upgradeRefused")
        /// The proxy on the way to the node refused to open a tunnel; ``httpStatus`` tells its status, 407 for missing
        /// credentials.
        public static let proxyRefused = Code("proxyRefused")
        /// The connection ended, or was closed; ``wasSent`` tells whether the node may have acted on the request.
        public static let connectionClosed = Code("connectionClosed")
        /// The node broke the rules of WebSocket or IPC, or sent a message over the limit.
        public static let protocolViolation = Code("protocolViolation")
        /// Time ran out: `connectTimeout` or `requestTimeout`.
        public static let timedOut = Code("timedOut")
        /// The task was cancelled.
        public static let cancelled = Code("cancelled")
        /// The node answered with an error; ``rpcCode``, ``rpcMessage`` and ``rpcData`` are its own.
        public static let rpcError = Code("rpcError")
        /// The node refuses for now; wait for ``retryAfter`` where it is there.
        public static let rateLimited = Code("rateLimited")
        /// The account's quota is used up; retrying does not help.
        public static let quotaExhausted = Code("quotaExhausted")
        /// Too many requests wait already: `maxQueuedRequests`.
        public static let tooManyRequests = Code("tooManyRequests")
        /// The node does not read: `maxUnsentBytes` wait to be written.
        public static let sendBufferFull = Code("sendBufferFull")
        /// The answer is not of the form it should have; the message names field and value.
        public static let malformedResponse = Code("malformedResponse")
        /// A batch was answered without this item.
        public static let missingFromBatch = Code("missingFromBatch")
        /// The consumer was too slow and its policy is `.fail`: raise the limit or choose another policy.
        public static let consumerTooSlow = Code("consumerTooSlow")
        /// The node ended the subscription.
        public static let subscriptionEnded = Code("subscriptionEnded")
        /// Blocks are missing from a gapless stream, which its plain sequence cannot tell otherwise.
        public static let gap = Code("gap")
        /// The block that a stream was to be resumed behind has left the chain.
        public static let cursorOrphaned = Code("cursorOrphaned")
        /// The node took back a block that it had called final.
        public static let finalityViolated = Code("finalityViolated")
        /// A stream was to be verified, and the chain's hashes follow another rule than Ethereum's.
        public static let unverifiable = Code("unverifiable")
        /// After a reconnect the node is of another chain than before.
        public static let wrongChain = Code("wrongChain")
        /// A value given by the caller cannot be sent: a parameter that does not encode, a header with a line break.
        public static let invalidArgument = Code("invalidArgument")
        /// An iterator or handle was used in two places at once, or again after its end.
        public static let misuse = Code("misuse")
    }

    public var code: Code {
        get { self.details.value.code }
        set { self.details.value.code = newValue }
    }

    /// One line for people, cleaned.
    public var message: String {
        get { self.details.value.message }
        set { self.details.value.message = newValue }
    }

    /// The `code` of the node's error object.
    public var rpcCode: Int64? {
        get { self.details.value.rpcCode }
        set { self.details.value.rpcCode = newValue }
    }

    /// Its `message`, as the node wrote it.
    public var rpcMessage: String? {
        get { self.details.value.rpcMessage }
        set { self.details.value.rpcMessage = newValue }
    }

    /// Its `data`.
    public var rpcData: JSONValue? {
        get { self.details.value.rpcData }
        set { self.details.value.rpcData = newValue }
    }

    /// How long to wait before trying again, where the node says so, at most a day.
    public var retryAfter: Duration? {
        get { self.details.value.retryAfter }
        set { self.details.value.retryAfter = newValue }
    }

    /// The HTTP status in place of the WebSocket handshake's 101, or of the proxy's 200.
    public var httpStatus: Int? {
        get { self.details.value.httpStatus }
        set { self.details.value.httpStatus = newValue }
    }

    /// The code of the WebSocket close frame (RFC 6455 §7.4); 1006 where the connection ended without one.
    public var closeCode: UInt16? {
        get { self.details.value.closeCode }
        set { self.details.value.closeCode = newValue }
    }

    /// Whether the request had gone out when it failed: if so, its effect is unknown.
    public var wasSent: Bool {
        get { self.details.value.wasSent }
        set { self.details.value.wasSent = newValue }
    }

    /// Whether connecting again would end in the same way, where the code alone does not tell.
    var isPermanent: Bool {
        get { self.details.value.isPermanent }
        set { self.details.value.isPermanent = newValue }
    }

    /// Whether the loop has ended, so that there is nothing left to connect with.
    var isEndOfLoop: Bool {
        get { self.details.value.isEndOfLoop }
        set { self.details.value.isEndOfLoop = newValue }
    }

    /// Whether the node fell silent, so that connecting to the same host may take long to fail.
    var endedInSilence: Bool {
        get { self.details.value.endedInSilence }
        set { self.details.value.endedInSilence = newValue }
    }

    private struct Details: Hashable, Sendable {
        var code: Code
        var message: String
        var rpcCode: Int64?
        var rpcMessage: String?
        var rpcData: JSONValue?
        var retryAfter: Duration?
        var httpStatus: Int?
        var closeCode: UInt16?
        var wasSent = false
        var isPermanent = false
        var isEndOfLoop = false
        var endedInSilence = false
    }

    private var details: Boxed<Details>

    package init(_ code: Code, _ message: String) {
        self.details = .value(Details(code: code, message: CleanText.line(message)))
    }
}

extension Web3Error: CustomStringConvertible {
    public var description: String { "\(self.code): \(self.message)" }
}

extension Web3Error {
    init(_ error: RPCError) {
        let code: Code =
            switch error.code {
            case .node: .rpcError
            case .rateLimited: .rateLimited
            case .quotaExhausted: .quotaExhausted
            case .timedOut: .timedOut
            case .cancelled: .cancelled
            case .tooManyRequests: .tooManyRequests
            case .sendBufferFull: .sendBufferFull
            case .connectionClosed: .connectionClosed
            case .malformedResponse: .malformedResponse
            case .missingFromBatch: .missingFromBatch
            case .consumerTooSlow: .consumerTooSlow
            case .subscriptionEnded: .subscriptionEnded
            }
        let text = error.node.map { "\(error.message) (code \($0.code))" } ?? error.message
        self.init(code, text)
        self.rpcCode = error.node?.code
        self.rpcMessage = error.node?.message
        self.rpcData = error.node?.data
        self.retryAfter = error.retryAfter
        self.wasSent = error.wasSent
    }

    /// A value that does not have the form it should have.
    init(_ error: ValueError, in context: String) {
        self.init(.malformedResponse, "\(context): \(error)")
    }

    init(_ error: SocketError, connectingTo endpoint: Endpoint, through proxy: Proxy? = nil) {
        let code: Code =
            switch error.code {
            case .invalidAddress: .invalidEndpoint
            // As likely a server that restarts as one that does not speak TLS: later it may work.
            case .tls(.cut): .cannotConnect
            case .tls(let failure): failure.isAboutPeerCertificate ? .certificateRejected : .tlsFailed
            default: .cannotConnect
            }
        let way = proxy.map { " through the proxy \($0)" } ?? ""
        self.init(code, "\(endpoint)\(way): \(error.message)")
        self.isEndOfLoop = error.code == .loopIsShutDown
        self.isPermanent = self.isEndOfLoop
        if case .tls(let failure) = error.code { self.isPermanent = !failure.mayPass }
    }

    init(_ refusal: UpgradeRefusal, from endpoint: Endpoint) {
        let advice = refusal.advice.map { "; \($0)" } ?? ""
        self.init(.upgradeRefused, "\(endpoint) answered \(refusal.message)\(advice)")
        self.httpStatus = refusal.status
        self.retryAfter = refusal.retryAfterSeconds.map { .seconds(min($0, 86_400)) }
    }

    init(_ refusal: UpgradeRefusal, of proxy: Proxy?, to endpoint: Endpoint) {
        let advice = refusal.proxyAdvice.map { "; \($0)" } ?? ""
        let name = proxy.map { " \($0)" } ?? ""
        self.init(
            .proxyRefused,
            "the proxy\(name) refused to connect to \(endpoint): \(refusal.message)\(advice)"
        )
        self.httpStatus = refusal.status
        self.retryAfter = refusal.retryAfterSeconds.map { .seconds(min($0, 86_400)) }
    }

    init(_ error: HandshakeError, from endpoint: Endpoint, through proxy: Proxy? = nil) {
        let code: Code =
            switch error.code {
            case .invalidRequest: .invalidArgument
            case .timedOut: .timedOut
            case .endOfStream: .cannotConnect
            default: .protocolViolation
            }
        let way = proxy.map { " through the proxy \($0)" } ?? ""
        self.init(code, "\(endpoint)\(way): \(error.message)")
    }
}
