import HeadstreamJSON
import HeadstreamRPC
import HeadstreamSockets

/// A client of one node.
///
/// ```swift
/// let web3 = try await Web3.connect(to: "ws://127.0.0.1:8546")
/// for try await head in web3.eth.newHeads() {
///     print(head.number)
/// }
/// ```
///
/// It is a handle: copies share the connection, which closes when the last of them and of the streams made from it is
/// let go of, or at ``close()``. All methods may be called from any task, at once.
public struct Web3: Sendable {
    /// The version of this package.
    public static let version = "0.1.0"

    let session: Session

    private init(session: Session) {
        self.session = session
    }

    // MARK: Connecting

    /// Connects to a node.
    ///
    /// - Throws: ``Web3Error``: `.invalidEndpoint`, `.cannotConnect`, `.upgradeRefused`, `.timedOut`, `.cancelled`…
    public static func connect(
        to endpoint: Endpoint,
        configuration: Configuration = Configuration()
    ) async throws(Web3Error) -> Web3 {
        try await Self.connect(to: [endpoint], configuration: configuration)
    }

    /// Connects to the first of several endpoints of the same chain that takes the connection, and to the next one
    /// whenever that is lost for good.
    ///
    /// ```swift
    /// let web3 = try await Web3.connect(to: ["ws://10.0.0.7:8546", "wss://provider.example/v3/KEY"])
    /// ```
    ///
    /// The order says which is preferred. A connection that is lost after ``ReconnectPolicy/healthyAfter`` is made again to
    /// the same endpoint first. Where that fails, where it was lost sooner, and where the node fell silent, the next one is
    /// tried at once, and only when all of them have failed the delay of ``ReconnectPolicy`` passes. An endpoint that refuses
    /// for good (``ReconnectPolicy`` says what that is), or that is of another chain, is left out, which
    /// ``Configuration/diagnostics`` is told; when none is left the client ends with the reason of each. The headers of the
    /// configuration go to all of them.
    ///
    /// - Throws: where none takes the connection, ``Web3Error`` with a message that names each endpoint and its reason; its
    ///   code is that of the first endpoint that another attempt might reach.
    public static func connect(
        to endpoints: [Endpoint],
        configuration: Configuration = Configuration()
    ) async throws(Web3Error) -> Web3 {
        guard !endpoints.isEmpty else { throw Web3Error(.invalidEndpoint, "no endpoint is given") }
        let session = Session(to: endpoints, configuration: configuration)
        try await session.open()
        return Web3(session: session)
    }

    /// Connects, runs `body`, and closes: nothing of the connection is left when this returns or throws.
    public static func withConnection<Value>(
        to endpoint: Endpoint,
        configuration: Configuration = Configuration(),
        isolation: isolated (any Actor)? = #isolation,
        _ body: (Web3) async throws -> Value
    ) async throws -> Value {
        try await Self.withConnection(to: [endpoint], configuration: configuration, isolation: isolation, body)
    }

    /// The same for several endpoints.
    public static func withConnection<Value>(
        to endpoints: [Endpoint],
        configuration: Configuration = Configuration(),
        isolation: isolated (any Actor)? = #isolation,
        _ body: (Web3) async throws -> Value
    ) async throws -> Value {
        let web3 = try await Web3.connect(to: endpoints, configuration: configuration)
        do {
            let value = try await body(web3)
            await web3.close()
            return value
        } catch {
            await web3.close()
            throw error
        }
    }

    /// Closes the connection. Streams end with nil, waiting requests with `.connectionClosed`.
    ///
    /// Returns when nothing is left of the connection, at the latest after `closeTimeout`. Closing twice is fine.
    public func close() async {
        await self.session.close()
    }

    /// Runs tasks on the connection's event loop: the lowest cost for a consumer that computes little and never blocks.
    ///
    /// ```swift
    /// try await withTaskExecutorPreference(web3.executor) { … }
    /// ```
    public var executor: any TaskExecutor { self.session.loop.taskExecutor }

    /// The counters of this connection as they are now.
    public var metrics: Metrics {
        get async { await self.session.currentMetrics() }
    }

    /// Where the newest connection goes: one of the endpoints given.
    public var endpoint: Endpoint { self.session.connection.endpoint }

    /// Where the connection stands, from now on: lost, made anew, closed for good.
    ///
    /// ```swift
    /// for await state in web3.connectionStates { print(state) }
    /// ```
    public var connectionStates: ConnectionStates { ConnectionStates(broadcaster: self.session.states) }

    // MARK: Requests

    /// Makes any request and reads its result.
    ///
    /// ```swift
    /// let balance = try await web3.request("eth_getBalance", address, BlockTag.latest, as: UInt256.self)
    /// ```
    ///
    /// - Parameters:
    ///   - parameters: values of this package, or anything `Encodable`.
    ///   - type: a type of this package, `JSONValue`, or anything `Decodable`; an optional where the result may be null.
    /// - Throws: ``Web3Error``. When the task is cancelled: `.cancelled`, at once.
    public func request<Value: Decodable>(
        _ method: String,
        _ parameters: any Encodable & Sendable...,
        as type: Value.Type = Value.self
    ) async throws(Web3Error) -> Value {
        try await self.call(method, parameters, as: type)
    }

    /// The same for parameters in an array.
    public func request<Value: Decodable>(
        _ method: String,
        parameters: [any Encodable & Sendable],
        as type: Value.Type = Value.self
    ) async throws(Web3Error) -> Value {
        try await self.call(method, parameters, as: type)
    }

    func call<Value: Decodable>(
        _ method: String,
        _ parameters: [any Encodable & Sendable],
        as type: Value.Type = Value.self
    ) async throws(Web3Error) -> Value {
        try await self.call(EncodedRequest(method, parameters), as: type)
    }

    func call<Value: Decodable>(
        _ request: EncodedRequest,
        as type: Value.Type = Value.self
    ) async throws(Web3Error) -> Value {
        try await self.call(request) { (bytes) throws(ValueError) in try Results.decode(bytes, as: type) }
    }

    func call<Value: Decodable & JSONReadable>(
        _ request: EncodedRequest,
        as type: Value.Type = Value.self
    ) async throws(Web3Error) -> Value {
        try await self.call(request) { (bytes) throws(ValueError) in try Results.read(bytes, as: type) }
    }

    @inline(__always)
    private func call<Value>(
        _ request: EncodedRequest,
        _ read: (UnsafeRawBufferPointer) throws(ValueError) -> Value
    ) async throws(Web3Error) -> Value {
        let session = self.session
        let outcome = await session.call(isRepeatable: request.isRepeatable) { connection, time in
            await connection.call(session.ids.take(), request, time: time)
        }
        let bytes: ResponseBytes
        switch outcome {
        case .success(let result): bytes = result
        case .failure(let error): throw self.session.error(error)
        }
        do throws(ValueError) {
            return try bytes.withBytes(read)
        } catch {
            throw Web3Error(error, in: request.method).redacted(by: self.session.secrets)
        }
    }

    /// Sends requests together, in as few messages as `maxBatch` allows.
    ///
    /// ```swift
    /// var batch = BatchRequest()
    /// batch.add("eth_blockNumber")
    /// batch.add("eth_getBalance", address, BlockTag.latest)
    /// let answers = try await web3.batch(batch)
    /// let number = try answers.result(0, as: BlockNumber.self)
    /// ```
    ///
    /// - Throws: where nothing could be sent, and `.cancelled` when the task is cancelled. What fails of an item alone is
    ///   thrown by ``BatchResponse/result(_:as:)``.
    public func batch(_ batch: BatchRequest) async throws(Web3Error) -> BatchResponse {
        guard batch.count > 0 else { return BatchResponse(outcomes: [], methods: []) }
        var messages: [(first: RequestID, count: Int, text: [UInt8])] = []
        let configuration = self.session.configuration
        let size = max(1, min(configuration.maxBatch, configuration.maxInFlight))
        for start in stride(from: 0, to: batch.count, by: size) {
            let items = batch.items[start..<min(start + size, batch.count)]
            var encoded: [EncodedRequest] = []
            for item in items { encoded.append(try EncodedRequest(item.method, item.parameters)) }
            let first = self.session.ids.take(items.count)
            messages.append((first, items.count, EncodedRequest.batchText(of: encoded, firstID: first)))
        }
        var connection = self.session.connection
        let time = RequestTime(from: self.session.loop.now, for: configuration.requestTimeout)
        var results = await connection.callBatch(messages, time: time)
        // Another connection had taken its place, so that nothing was sent.
        while results.allSatisfy(\.isUnsentForClose), self.session.connection !== connection {
            connection = self.session.connection
            results = await connection.callBatch(messages, time: time)
        }
        let outcomes = results.map { $0.mapError { self.session.error($0) } }
        if case .failure(let error)? = outcomes.first, outcomes.allSatisfy({ $0.isUnsent || $0.isCancelled }) {
            throw error
        }
        return BatchResponse(
            outcomes: outcomes,
            methods: batch.items.map(\.method),
            secrets: self.session.secrets
        )
    }
}

extension Waiter.Outcome {
    fileprivate var isUnsentForClose: Bool {
        if case .failure(let error) = self { error.code == .connectionClosed && !error.wasSent } else { false }
    }
}

extension Result where Failure == Web3Error {
    fileprivate var isUnsent: Bool {
        if case .failure(let error) = self { !error.wasSent } else { false }
    }

    fileprivate var isCancelled: Bool {
        if case .failure(let error) = self { error.code == .cancelled } else { false }
    }
}

extension Web3: CustomStringConvertible, CustomReflectable {
    /// The endpoints, without credentials, path and query.
    public var description: String {
        "Web3(" + self.session.endpoints.map(\.description).joined(separator: ", ") + ")"
    }

    /// `dump` shows no more than the description does.
    public var customMirror: Mirror { Mirror(self, children: []) }
}
