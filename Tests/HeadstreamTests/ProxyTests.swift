import Foundation
import HeadstreamSockets
import HeadstreamTesting
import Testing

@testable import Headstream

@Suite("Proxies: which one, and whether at all")
struct ProxySelectionTests {
    private func proxy(
        _ environment: [String: String],
        _ host: String = "node.example",
        port: UInt16 = 443,
        isSecure: Bool = true
    ) throws -> String? {
        var configuration = Configuration()
        configuration.environment = environment
        return try configuration.proxy(toHost: host, port: port, isSecure: isSecure)?.description
    }

    @Test("Edge case 118: wss asks https_proxy and then all_proxy, ws http_proxy in small letters and then all_proxy")
    func variables() throws {
        let all = [
            "https_proxy": "a:1", "HTTPS_PROXY": "b:2", "all_proxy": "c:3", "ALL_PROXY": "d:4", "http_proxy": "e:5",
            "HTTP_PROXY": "f:6",
        ]
        var left = all
        for (name, expected) in [
            ("https_proxy", "a:1"), ("HTTPS_PROXY", "b:2"), ("all_proxy", "c:3"), ("ALL_PROXY", "d:4"),
        ] {
            #expect(try self.proxy(left) == "\(expected) (\(name))")
            left[name] = nil
        }
        #expect(try self.proxy(left) == nil)
        left = all
        for (name, expected) in [("http_proxy", "e:5"), ("all_proxy", "c:3"), ("ALL_PROXY", "d:4")] {
            #expect(try self.proxy(left, isSecure: false) == "\(expected) (\(name))")
            left[name] = nil
        }
        #expect(try self.proxy(left, isSecure: false) == nil)
        // Empty is not set.
        #expect(try self.proxy(["https_proxy": "", "ALL_PROXY": "d:4"]) == "d:4 (ALL_PROXY)")
        #expect(try self.proxy(["HTTPS_PROXY": "b:2", "no_proxy": "", "NO_PROXY": ""]) == "b:2 (HTTPS_PROXY)")
    }

    @Test(
        "Edge case 118: loopback never goes through a proxy",
        arguments: [
            "localhost", "LOCALHOST", "localhost.", "a.localhost", "127.0.0.1", "127.9.9.9", "127.1", "::1", "0.0.0.0",
            "::", "::ffff:127.0.0.1", "0:0:0:0:0:0:0:1", "2130706433",
        ]
    )
    func loopback(host: String) throws {
        #expect(try self.proxy(["ALL_PROXY": "p:1"], host) == nil)
        #expect(try self.proxy(["ALL_PROXY": "socks5://p:1"], host) == nil)
        var configuration = Configuration()
        configuration.proxy = .http(host: "p", port: 1)
        #expect(try configuration.proxy(toHost: host, port: 1, isSecure: true) == nil)
    }

    @Test(
        "Names and addresses that only look like it do",
        arguments: ["localhost.example", "128.0.0.1", "::2", "notlocalhost"]
    )
    func noLoopback(host: String) throws {
        #expect(try self.proxy(["ALL_PROXY": "p:1"], host) == "p:1 (ALL_PROXY)")
    }

    @Test(
        "Edge case 118: NO_PROXY by curl's rules",
        arguments: [
            ("*", "node.example", true), ("node.example", "node.example", true), ("NODE.example", "node.EXAMPLE", true),
            ("node.example.", "node.example", true), ("node.example", "node.example.", true),
            ("example", "node.example", true), (".example", "node.example", true), ("*.example", "node.example", true),
            ("node.example", "badnode.example", false), (".node.example", "node.example", true),
            ("sub.node.example", "node.example", false), ("a,b , node.example", "node.example", true),
            ("a b\tnode.example", "node.example", true), ("a,b", "node.example", false),
            ("node.example:443", "node.example", true), ("node.example:80", "node.example", false),
            (".example:443", "node.example", true), ("10.1.2.3", "10.1.2.3", true), ("10.1.2.3:443", "10.1.2.3", true),
            ("10.1.2.3:80", "10.1.2.3", false), ("10.1.2.4", "10.1.2.3", false), ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/16", "10.1.2.3", false), ("10.1.2.2/31", "10.1.2.3", true), ("10.1.2.2/32", "10.1.2.3", false),
            ("0.0.0.0/0", "10.1.2.3", true), ("10.0.0.0/33", "10.1.2.3", false), ("10.0.0.0/x", "10.1.2.3", false),
            ("10.0.0.0/-1", "10.1.2.3", false), ("2001:db8::1", "2001:db8:0::1", true),
            ("[2001:db8::1]", "2001:db8::1", true), ("[2001:db8::1]:443", "2001:db8::1", true),
            ("[2001:db8::1]:80", "2001:db8::1", false), ("2001:db8::/32", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db9::1", false), ("10.0.0.0/8", "2001:db8::1", false), ("3", "10.1.2.3", false),
            ("1.2.3", "10.1.2.3", false), (",,", "node.example", false), (".", "node.example", false),
            ("/", "node.example", false), ("[", "node.example", false),
        ]
    )
    func noProxy(list: String, host: String, isDirect: Bool) throws {
        for name in ["no_proxy", "NO_PROXY"] {
            #expect(try (self.proxy(["HTTPS_PROXY": "p:1", name: list], host) == nil) == isDirect)
        }
    }

    @Test("no_proxy in small letters comes first; an explicit proxy and .none do not ask the environment")
    func precedence() throws {
        let environment = ["HTTPS_PROXY": "p:1", "no_proxy": "other", "NO_PROXY": "*"]
        #expect(try self.proxy(environment) == "p:1 (HTTPS_PROXY)")
        var configuration = Configuration()
        configuration.environment = ["HTTPS_PROXY": "p:1", "NO_PROXY": "*"]
        configuration.proxy = .http(host: "q", port: 2)
        #expect(try configuration.proxy(toHost: "node.example", port: 1, isSecure: true)?.description == "q:2")
        configuration.proxy = .none
        #expect(try configuration.proxy(toHost: "node.example", port: 1, isSecure: true) == nil)
    }

    @Test(
        "A proxy's URL in its forms",
        arguments: [
            ("http://proxy:3128", "proxy:3128", nil), ("proxy:3128", "proxy:3128", nil), ("proxy", "proxy:1080", nil),
            ("HTTP://us%40er:p%3Aw@proxy:1/", "proxy:1", "us%40er:p%3Aw"), ("user@proxy:1", "proxy:1", "user"),
            ("http://[::1]:8080", "[::1]:8080", nil), ("http://10.0.0.1/", "10.0.0.1:1080", nil),
        ] as [(String, String, String?)]
    )
    func forms(text: String, name: String, userInfo: String?) throws {
        let proxy = try Proxy(text, variable: nil)
        #expect(proxy.description == name)
        #expect(proxy.userInfo == userInfo)
        #expect(try "\(ProxyConfiguration(text))" == "http://\(name)")
    }

    @Test(
        "What cannot be used says why, where it comes from and what can, and repeats no credentials",
        arguments: [
            ("socks5://user:secret@p:1", "socks5://; only http://"), ("SOCKS5h://p", "socks5h://; only http://"),
            ("https://user:secret@p", "https://; only http://"), ("ftp://secret", "unknown scheme"),
            ("http://", "no proxy's URL"), ("http://user:secret@", "no proxy's URL"), ("p:x", "no proxy's URL"),
            ("a b", "no proxy's URL"), ("http://p:0", "no proxy's URL"), ("p\r\nX: secret", "no proxy's URL"),
        ]
    )
    func unusable(text: String, expected: String) async throws {
        let error = #expect(throws: Web3Error.self) { try ProxyConfiguration(text) }
        #expect(error?.code == .invalidArgument)
        #expect(error?.message.contains(expected) == true, "\(String(describing: error))")
        #expect(error?.description.contains("secret") == false)
        var configuration = Configuration()
        configuration.environment = ["all_proxy": text]
        let connecting = await failure {
            _ = try await Web3.connect(to: "ws://node.invalid", configuration: configuration)
        }
        #expect(connecting?.code == .invalidArgument)
        #expect(connecting?.message.contains("all_proxy") == true)
        #expect(connecting?.message.contains("secret") == false)
    }

    @Test("The default is the process's environment, read when a configuration is made")
    func processEnvironment() {
        let configuration = Configuration()
        #expect(!configuration.environment.isEmpty)
        #expect(configuration.environment["PATH"] != nil)
        #expect(configuration.proxy == .environment)
    }
}

@Suite("Connecting through a proxy", .timeLimit(.minutes(15)))
struct ProxyTests {
    /// A server, a proxy that leads to it or answers itself, and a configuration that goes through the proxy.
    private static func play(
        on stage: Stage,
        seed: UInt64? = 1,
        upgrade: ScriptedServer.Upgrade = .accept,
        answer: ScriptedProxy.Answer? = nil,
        inDrops: Bool = false,
        _ body: @escaping @Sendable (ScriptedProxy, ScriptedServer, Configuration) async throws -> Void
    ) async throws {
        try await stage.serve(seed: seed, upgrade: upgrade) { server, configuration in
            let loop = try #require(configuration.loop)
            guard let parts = await server.endpoint.authority() else { return }
            let relay = ScriptedProxy.Answer.relay(to: .host(parts.host, port: parts.port), inDrops: inDrops)
            let proxy = ScriptedProxy(on: loop, answer ?? relay)
            let place = try await proxy.listen()
            var configuration = configuration
            configuration.proxy = .http(host: place.host, port: place.port, user: "us%er", password: "pr0xy:secret")
            try await body(proxy, server, configuration)
            await proxy.close()
        }
    }

    @Test(
        "Edge case 118: through the tunnel everything works as without it, with credentials",
        arguments: [Stage.simulated, .webSocket]
    )
    func tunnel(stage: Stage) async throws {
        for inDrops in [false, true] {
            try await Self.play(on: stage, inDrops: inDrops) { proxy, server, configuration in
                let endpoint: Endpoint = "ws://node.example:8546/path?key=0123456789"
                let web3 = try await Web3.connect(to: endpoint, configuration: configuration)
                #expect(try await web3.eth.chainID() == 1)
                var items = try await web3.subscribe(NumbersRequest()).makeAsyncIterator()
                await server.act { $0.notify("0x1", "5") }
                #expect(try await items.next() == 5)
                await web3.close()
                await server.until { $0.ended == 1 }
                let head = try #require(await proxy.requests.first)
                #expect(head.hasPrefix("CONNECT node.example:8546 HTTP/1.1\r\nHost: node.example:8546\r\n"))
                #expect(head.contains("\r\nProxy-Authorization: Basic dXMlZXI6cHIweHk6c2VjcmV0\r\n"))
                #expect(!head.contains("0123456789") && !head.contains("path"))
            }
        }
    }

    @Test("A refusal of the node behind the tunnel is the node's", arguments: [Stage.simulated, .webSocket])
    func refusedByNode(stage: Stage) async throws {
        try await Self.play(on: stage, upgrade: .refuse("HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")) {
            _,
            _,
            configuration in
            let error = await failure {
                _ = try await Web3.connect(to: "ws://node.example:1", configuration: configuration)
            }
            #expect(error?.code == .upgradeRefused)
            #expect(error?.httpStatus == 401)
        }
    }

    @Test(
        "A refusal of the proxy is told as what it is, with what to do, and without credentials",
        arguments: [
            (407, "Proxy Authentication Required", "wants credentials"), (403, "Forbidden", "NO_PROXY"),
            (502, "Bad Gateway", "cannot reach"), (504, "Gateway Timeout", "in time"), (429, "Slow Down", "too many"),
        ]
    )
    func refusedByProxy(status: Int, reason: String, advice: String) async throws {
        let body = "denied for us%er:pr0xy:secret, dXMlZXI6cHIweHk6c2VjcmV0"
        let text =
            "HTTP/1.1 \(status) \(reason)\r\nRetry-After: 9\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
        for stage in [Stage.simulated, .webSocket] {
            try await Self.play(on: stage, answer: .refuse(text)) { proxy, server, configuration in
                let error = await failure {
                    _ = try await Web3.connect(to: "ws://node.example:1", configuration: configuration)
                }
                #expect(error?.code == .proxyRefused)
                #expect(error?.httpStatus == status)
                #expect(error?.retryAfter == .seconds(9))
                let message = error?.message ?? ""
                #expect(message.hasPrefix("the proxy 127.0.0.1:"))
                #expect(message.contains("refused to connect to ws://node.example:1: \(status) \(reason)"))
                #expect(message.contains(advice))
                #expect(!message.contains("secret") && !message.contains("dXMlZXI"), "\(message)")
                #expect(await server.log.connections == 0)
            }
        }
    }

    @Test(
        "A proxy that says nothing, half of something, something else, or too much",
        arguments: [Stage.simulated, .webSocket]
    )
    func strangeProxies(stage: Stage) async throws {
        for (answer, code, text) in [
            (.refuse(""), .cannotConnect, "without answering CONNECT"),
            (.refuse("HTTP/1.1 200"), .cannotConnect, "inside its answer to CONNECT: HTTP/1.1 200"),
            (.answer("\u{5}\u{1}"), .protocolViolation, "does not speak HTTP"),
            (.answer("HTTP/1.1 200 OK\r\n\r\nhello"), .protocolViolation, "5 bytes behind"),
        ] as [(ScriptedProxy.Answer, Web3Error.Code, String)] {
            try await Self.play(on: stage, answer: answer) { _, _, configuration in
                let error = await failure {
                    _ = try await Web3.connect(to: "ws://node.example:1", configuration: configuration)
                }
                #expect(error?.code == code)
                #expect(error?.message.contains(text) == true, "\(String(describing: error))")
                #expect(error?.message.contains("through the proxy 127.0.0.1:") == true)
            }
        }
    }

    @Test("The tunnel is under the one deadline of connecting")
    func deadline() async throws {
        try await Self.play(on: .simulated, answer: .silence) { proxy, _, configuration in
            let loop = try #require(configuration.loop)
            let start = loop.now
            let error = await failure {
                _ = try await Web3.connect(to: "ws://node.example:1", configuration: configuration)
            }
            #expect(error?.code == .timedOut)
            #expect(error?.message.contains("no answer to CONNECT in time") == true)
            #expect(loop.now.since(start) == .seconds(30))
            await eventually { await proxy.ended == 1 }
        }
    }

    @Test("Nobody at the proxy's place: told with its name and variable")
    func noProxyThere() async throws {
        try await Self.play(on: .simulated) { proxy, _, configuration in
            var configuration = configuration
            configuration.proxy = .environment
            configuration.environment = ["ALL_PROXY": "http://us:secret@127.0.0.1:9"]
            let error = await failure {
                _ = try await Web3.connect(to: "ws://node.example:1", configuration: configuration)
            }
            #expect(error?.code == .cannotConnect)
            #expect(
                error?.message.hasPrefix(
                    "ws://node.example:1 through the proxy 127.0.0.1:9 (ALL_PROXY): nobody listens"
                )
                    == true,
                "\(String(describing: error))"
            )
        }
    }

    @Test("Loopback goes past the proxy that is set")
    func loopback() async throws {
        try await Self.play(on: .webSocket) { proxy, server, configuration in
            let web3 = try await Web3.connect(to: await server.endpoint, configuration: configuration)
            #expect(try await web3.eth.chainID() == 1)
            await web3.close()
            #expect(await proxy.connections == 0)
        }
    }

    @Test("Cancelled, or closed, while the tunnel is awaited", arguments: [true, false])
    func cancelled(isCancelled: Bool) async throws {
        for stage in [Stage.simulated, .webSocket] {
            try await Self.play(on: stage, answer: .silence) { proxy, _, configuration in
                let session = Session(to: ["ws://node.example:1"], configuration: configuration)
                await withTaskGroup(of: Web3Error.Code?.self) { group in
                    group.addTask { await failure { try await session.connection.open() }?.code }
                    await proxy.untilRequests(1)
                    if isCancelled { group.cancelAll() } else { await session.connection.close() }
                    for await code in group { #expect(code == (isCancelled ? .cancelled : .connectionClosed)) }
                }
                await eventually { await proxy.ended == 1 }
            }
        }
    }

    @Test("A recorder goes through the proxy too, and writes none of its credentials")
    func recorder() async throws {
        let path = "/tmp/headstream-\(UInt64.random(in: 0...(.max))).io"
        try await Self.play(on: .webSocket) { proxy, server, configuration in
            let recorder = try await HeadstreamTesting.Recorder(
                recording: "ws://node.example:8546/v1/0123456789abcdef",
                to: path,
                configuration: configuration
            )
            let web3 = try await Web3.connect(to: recorder.endpoint, configuration: configuration)
            #expect(try await web3.eth.chainID() == 1)
            await web3.close()
            await recorder.close()
            #expect(await proxy.requests.count == 1)
            #expect(try Transcript(contentsOf: path).entries.count > 2)
        }
        try await Self.play(
            on: .webSocket,
            answer: .refuse("HTTP/1.1 407 us%er:pr0xy:secret\r\nContent-Length: 0\r\n\r\n")
        ) {
            proxy,
            server,
            configuration in
            let recorder = try await HeadstreamTesting.Recorder(
                recording: "ws://node.example:8546",
                to: path,
                configuration: configuration
            )
            let error = await failure {
                _ = try await Web3.connect(to: recorder.endpoint, configuration: configuration)
            }
            #expect(error?.httpStatus == 502)
            #expect(error?.message.contains("the proxy 127.0.0.1:") == true, "\(String(describing: error))")
            #expect(error?.message.contains("secret") == false)
            await recorder.close()
            let text = try String(contentsOfFile: path, encoding: .utf8)
            #expect(text.contains("407") && !text.contains("secret"))
        }
        unlink(path)
    }
}
