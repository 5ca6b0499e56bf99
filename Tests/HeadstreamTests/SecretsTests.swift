import Foundation
import HeadstreamSockets
import HeadstreamTesting
import Testing

@testable import Headstream

/// One test for each place where a secret could show, with one list of secrets.
@Suite("Nothing secret is shown anywhere", .timeLimit(.minutes(15)))
struct SecretsTests {
    private static let secrets = [
        "PathToken0123456789", "QuerySecret-987", "user-canary-1", "Pass@Canary", "Pass%40Canary", "HeaderCanary42",
        "BearerCanary77", "proxy-user-1", "Proxy:Canary", "Proxy%3ACanary",
        // The same as basic authentication has it.
        "dXNlci1jYW5hcnktMTpQYXNzQENhbmFyeQ==", "cHJveHktdXNlci0xOlByb3h5OkNhbmFyeQ==",
    ]
    /// What a hostile or careless peer quotes back.
    private static let quoted = Self.secrets.joined(separator: " ")

    private static func endpoint(_ host: String, _ port: UInt16) throws -> Endpoint {
        try Endpoint("ws://user-canary-1:Pass%40Canary@\(host):\(port)/v1/PathToken0123456789?key=QuerySecret-987")
    }

    private static func configure(_ configuration: inout Configuration) {
        configuration.headers = [("X-Key", "HeaderCanary42"), ("Authorization", "Bearer BearerCanary77")]
        configuration.environment = ["ALL_PROXY": "http://proxy-user-1:Proxy%3ACanary@127.0.0.1:9"]
    }

    /// Everything that a value shows of itself.
    private static func expectNone(_ value: Any, _ place: String, sourceLocation: SourceLocation = #_sourceLocation) {
        var dumped = ""
        dump(value, to: &dumped)
        for text in ["\(value)", String(reflecting: value), "\([value])", "\(Optional(value) as Any)", dumped] {
            for secret in Self.secrets where text.contains(secret) {
                Issue.record("\(place) shows \(secret): \(text)", sourceLocation: sourceLocation)
            }
        }
    }

    private static func expectNone(
        _ error: Web3Error?,
        _ place: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        guard let error else {
            Issue.record("\(place): no error", sourceLocation: sourceLocation)
            return
        }
        Self.expectNone(error as Any, place, sourceLocation: sourceLocation)
        for text in [error.message, error.rpcMessage ?? "", error.rpcData.map { "\($0)" } ?? ""] {
            Self.expectNone(text as Any, place, sourceLocation: sourceLocation)
        }
    }

    /// A server on a stage, reached by an endpoint full of secrets.
    private static func play(
        _ stage: Stage,
        upgrade: ScriptedServer.Upgrade = .accept,
        script: @escaping ScriptedServer.Script = { $0.answerAsUsual($1) },
        _ body: @escaping @Sendable (Endpoint, ScriptedServer, Configuration) async throws -> Void
    ) async throws {
        try await stage.serve(upgrade: upgrade, script: script) { server, configuration in
            guard let parts = await server.endpoint.authority() else { return }
            var configuration = configuration
            Self.configure(&configuration)
            try await body(try Self.endpoint(parts.host, parts.port), server, configuration)
        }
    }

    @Test("Endpoints, configurations, proxies and clients show none of it, printed, reflected or dumped")
    func values() async throws {
        let endpoint = try Self.endpoint("node.example", 1)
        Self.expectNone(endpoint, "an endpoint")
        var configuration = Configuration()
        Self.configure(&configuration)
        Self.expectNone(configuration, "a configuration")
        #expect("\(configuration)".contains("X-Key: ***"))
        configuration.proxy = try ProxyConfiguration("http://proxy-user-1:Proxy%3ACanary@p:1")
        Self.expectNone(configuration, "a configuration with a proxy")
        Self.expectNone(configuration.proxy, "a proxy")
        configuration.proxy = .http(host: "p", port: 1, user: "proxy-user-1", password: "Proxy:Canary")
        Self.expectNone(configuration.proxy, "an explicit proxy")
        Self.expectNone(try configuration.proxy(toHost: "a", port: 1, isSecure: true) as Any, "a chosen proxy")
        for text in ["ws://Pass%40Canary@", "ws://h/Pass%40Canary x", "HeaderCanary42", "ftp://BearerCanary77"] {
            let error = #expect(throws: Web3Error.self) { try Endpoint(text) }
            Self.expectNone(error, "an endpoint that is none")
        }
        try await Self.play(.simulated) { endpoint, _, configuration in
            let web3 = try await Web3.connect(to: endpoint, configuration: configuration)
            Self.expectNone(web3, "a client")
            Self.expectNone(await web3.metrics, "metrics")
            Self.expectNone(await web3.metrics.prometheusText(), "metrics as text")
            await web3.close()
        }
    }

    @Test("Errors of connecting show none of it, whatever the other side quotes")
    func connecting() async throws {
        for stage in [Stage.simulated, .webSocket] {
            // A place where nobody listens, and a proxy that is not there.
            try await Self.play(stage) { endpoint, server, configuration in
                await server.close()
                let refused = await failure { _ = try await Web3.connect(to: endpoint, configuration: configuration) }
                #expect(refused?.code == .cannotConnect)
                Self.expectNone(refused, "a refused connection")
                var direct = configuration
                direct.proxy = .none
                direct.headers[0].value += "\r\nX: y"
                let header = await failure { _ = try await Web3.connect(to: endpoint, configuration: direct) }
                #expect(header?.code == .invalidArgument)
                Self.expectNone(header, "a header with a line break")
            }
            let long = String(repeating: "x", count: 497) + Self.secrets[0]
            for (place, answer) in [
                (
                    "a refusal",
                    "HTTP/1.1 401 No \(Self.quoted)\r\nContent-Length: \(Self.quoted.utf8.count)\r\n\r\n\(Self.quoted)"
                ),
                ("a refusal cut in a secret", "HTTP/1.1 403 No\r\nContent-Length: \(long.utf8.count)\r\n\r\n\(long)"),
                (
                    "a redirection",
                    "HTTP/1.1 302 \r\nLocation: https://user-canary-1@h/PathToken0123456789\r\nContent-Length: 0\r\n\r\n"
                ),
                ("no HTTP", "220 \(Self.quoted)\r\n"), ("a broken status line", "HTTP/1.1 \(Self.quoted)\r\n\r\n"),
                ("half an answer", "HTTP/1.1 101 \(Self.quoted)"),
                ("an odd Retry-After", "HTTP/1.1 429 \r\nRetry-After: \(Self.quoted)\r\nContent-Length: 0\r\n\r\n"),
            ] {
                try await Self.play(stage, upgrade: .refuse(answer)) { endpoint, _, configuration in
                    let error = await failure { _ = try await Web3.connect(to: endpoint, configuration: configuration) }
                    Self.expectNone(error, place)
                    // The beginning of a secret is one too.
                    #expect(error?.message.contains("PathToken01") == false, "\(place): \(String(describing: error))")
                }
            }
        }
        try await Self.play(.simulated, upgrade: .silence) { endpoint, _, configuration in
            let error = await failure { _ = try await Web3.connect(to: endpoint, configuration: configuration) }
            #expect(error?.code == .timedOut)
            Self.expectNone(error, "a timeout")
        }
        var configuration = Configuration()
        Self.configure(&configuration)
        configuration.proxy = .none
        let endpoint = try Self.endpoint("name.invalid", 1)
        let unknown = await failure { _ = try await Web3.connect(to: endpoint, configuration: configuration) }
        Self.expectNone(unknown, "an unknown name")
    }

    @Test("A proxy's refusals show none of it")
    func proxies() async throws {
        let text = "HTTP/1.1 407 \(Self.quoted)\r\nContent-Length: \(Self.quoted.utf8.count)\r\n\r\n\(Self.quoted)"
        for answer in [ScriptedProxy.Answer.refuse(text), .refuse("HTTP/1.1 2 \(Self.quoted)"), .answer(Self.quoted)] {
            try await SimulatedLoop.run(seed: 5) { loop in
                let proxy = ScriptedProxy(on: loop, answer)
                let place = try await proxy.listen()
                var configuration = loop.configuration
                Self.configure(&configuration)
                configuration.environment["ALL_PROXY"] = "proxy-user-1:Proxy%3ACanary@\(place.host):\(place.port)"
                let endpoint = try Self.endpoint("node.example", 1)
                let error = await failure { _ = try await Web3.connect(to: endpoint, configuration: configuration) }
                Self.expectNone(error, "a proxy's refusal")
                await proxy.close()
            }
        }
    }

    @Test("Errors of requests and streams, the reason of a close, and diagnostics show none of it")
    func messages() async throws {
        let quoted = Self.quoted
        for stage in [Stage.simulated, .webSocket] {
            let told = Recorder<Diagnostic>()
            let script: ScriptedServer.Script = { client, message in
                for call in message.calls {
                    switch call.params.first?.stringValue {
                    case "error":
                        let error =
                            #"{"code":-32000,"message":"\#(quoted)","data":{"\#(1)":["\#(quoted)",{"a":"\#(quoted)"}]}}"#
                        client.send(#"{"jsonrpc":"2.0","id":\#(call.id),"error":\#(error)}"#)
                    case "result": client.answer(call, #""\#(quoted)""#)
                    case "numbers" where call.method == "eth_subscribe": client.answer(call, #""0x1""#)
                    default: client.fail(call, -32601, quoted)
                    }
                }
            }
            try await Self.play(stage, script: script) { endpoint, server, configuration in
                var configuration = configuration
                configuration.diagnostics = { told.append($0) }
                let web3 = try await Web3.connect(to: endpoint, configuration: configuration)
                let error = await failure { _ = try await web3.request("m", "error", as: Int.self) }
                #expect(error?.rpcCode == -32000)
                Self.expectNone(error, "an error of the node")
                Self.expectNone(
                    await failure { _ = try await web3.request("m", "result", as: Int.self) },
                    "a wrong result"
                )
                var batch = BatchRequest()
                batch.add("m", "error")
                let answers = try await web3.batch(batch)
                Self.expectNone(await failure { _ = try answers.result(0, as: Int.self) }, "an error in a batch")
                Self.expectNone(answers, "a batch's answers")
                let refused = await failure { _ = try await web3.eth.subscribe(.newHeads) }
                Self.expectNone(refused, "a refused subscription")
                let stream = try await web3.subscribe(NumbersRequest())
                await server.act { client in
                    client.notify("0x1", "\"\(quoted)\"")
                    client.send("{\"\(quoted)")
                    client.send(#"{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":"\#(quoted)"}}"#)
                    client.send(#"{"jsonrpc":"2.0","id":"\#(quoted)","result":1}"#)
                }
                var items = stream.makeAsyncIterator()
                Self.expectNone(await failure { _ = try await items.next() }, "an unreadable notification")
                await server.act { $0.close(1008, String(quoted.prefix(120))) }
                let ended = await failure { _ = try await items.next() }
                #expect(ended?.closeCode == 1008)
                Self.expectNone(ended, "the reason of a close")
                Self.expectNone(await failure { _ = try await web3.eth.chainID() }, "a request behind the end")
            }
            #expect(told.all.count >= 2)
            for diagnostic in told.all { Self.expectNone(diagnostic, "a diagnostic") }
        }
    }

    @Test("A recording holds none of it, whatever the node quotes")
    func recording() async throws {
        let path = "/tmp/headstream-\(UInt64.random(in: 0...(.max))).io"
        let quoted = Self.quoted
        let script: ScriptedServer.Script = { client, message in
            for call in message.calls { client.answer(call, #""\#(quoted)""#) }
            client.close(1001, String(quoted.prefix(120)))
        }
        try await Self.play(.webSocket, script: script) { endpoint, _, configuration in
            let recorder = try await HeadstreamTesting.Recorder(
                recording: endpoint,
                to: path,
                configuration: configuration
            )
            let web3 = try await Web3.connect(to: recorder.endpoint, configuration: .patient())
            let answer = try await web3.request("web3_clientVersion", as: String.self)
            #expect(answer == quoted)
            _ = await failure { for try await _ in web3.notifications(NumbersRequest()) {} }
            await recorder.close()
        }
        let text = try String(contentsOfFile: path, encoding: .utf8)
        #expect(text.contains("web3_clientVersion") && text.contains("close 1001"))
        // What passes for a word may stand in a recording; the beginning of a cut secret may not.
        Self.expectNone(text.replacing("user-canary-1", with: "").replacing("proxy-user-1", with: ""), "a recording")
        unlink(path)
    }
}
