import HeadstreamSockets
import HeadstreamTesting
import Testing

@testable import Headstream

@Suite("Answers instead of a 101", .timeLimit(.minutes(15)))
struct RefusalTests {
    /// What a test sends, and what must be in the error's message.
    struct Answer: Sendable, CustomTestStringConvertible {
        var status: Int
        var headers = ""
        var body = ""
        var advice: String

        var testDescription: String { "\(self.status)" }
        var text: String {
            "HTTP/1.1 \(self.status) Reason\r\n\(self.headers)Content-Length: \(self.body.utf8.count)\r\n\r\n\(self.body)"
        }
    }

    private static let answers: [Answer] = [
        Answer(status: 200, body: "<html>hello</html>", advice: "opens no WebSocket"),
        Answer(
            status: 301,
            headers: "Location: https://elsewhere.example/v1/key0123456789\r\n",
            advice: "(location https://elsewhere.example); redirections are not followed"
        ),
        Answer(status: 302, headers: "Location: /login\r\n", advice: "(location another path)"),
        Answer(status: 307, headers: "Location: wss://a.example:8443\r\n", advice: "wss://a.example:8443"),
        Answer(status: 308, advice: "redirections are not followed"),
        Answer(status: 400, body: "bad request", advice: "check host, port and path"),
        Answer(status: 401, body: #"{"error":"invalid project id"}"#, advice: "credentials are missing or wrong"),
        Answer(status: 402, advice: "paid for"),
        Answer(status: 403, body: "<html>\u{1b}[31mno\r\n</html>", advice: "not allowed to connect"),
        Answer(status: 404, advice: "no such path"),
        Answer(status: 405, advice: "plain HTTP requests only"),
        Answer(status: 407, advice: "a proxy in front of the node"),
        Answer(status: 410, advice: "no such path"),
        Answer(status: 418, advice: "418 Reason"),
        Answer(status: 426, headers: "Upgrade: TLS/1.0\r\n", advice: "wss:// instead of ws://"),
        Answer(status: 429, headers: "Retry-After: 7\r\n", body: "daily request count exceeded", advice: "too many"),
        Answer(status: 500, advice: "the server failed"),
        Answer(status: 501, advice: "knows no WebSocket"),
        Answer(status: 502, body: "upstream", advice: "does not reach the node behind it"),
        Answer(status: 503, headers: "Retry-After: 120\r\n", advice: "overloaded"),
        Answer(status: 504, advice: "does not reach the node behind it"),
        Answer(status: 520, advice: "Cloudflare: the node's server answered something unexpected"),
        Answer(status: 521, advice: "Cloudflare: the node's server refuses connections"),
        Answer(status: 522, advice: "Cloudflare: the node's server does not answer"),
        Answer(status: 523, advice: "Cloudflare: the node's server cannot be reached"),
        Answer(status: 524, advice: "Cloudflare: the node's server took too long"),
        Answer(status: 525, advice: "Cloudflare: TLS with the node's server fails"),
        Answer(status: 526, advice: "Cloudflare: TLS with the node's server fails"),
        Answer(status: 530, body: "error code: 1016", advice: "Cloudflare: the node's server cannot be found"),
        Answer(status: 599, advice: "the server failed"),
    ]

    @Test(
        "Edge case 116: each is told as what it is, with what to do and the beginning of its body",
        arguments: answers
    )
    func table(answer: Answer) async throws {
        for stage in Stage.webSockets {
            try await stage.serve(upgrade: .refuse(answer.text)) { server, configuration in
                let endpoint = await server.endpoint
                let error = await failure { _ = try await Web3.connect(to: endpoint, configuration: configuration) }
                let message = error?.message ?? ""
                #expect(error?.code == .upgradeRefused)
                #expect(error?.httpStatus == answer.status)
                #expect(message.hasPrefix("\(endpoint) answered \(answer.status) Reason"))
                #expect(message.contains(answer.advice), "\(message)")
                if !answer.body.contains("<html>\u{1b}") { #expect(message.contains(answer.body), "\(message)") }
                #expect(!message.unicodeScalars.contains { $0.value < 0x20 })
                #expect(!message.contains("key0123456789") && !message.contains("login"))
                let seconds: [Int: Duration] = [429: .seconds(7), 503: .seconds(120)]
                #expect(error?.retryAfter == seconds[answer.status])
                await server.until { $0.ended == 1 }
            }
        }
    }

    @Test(
        "Edge case 116: Retry-After in seconds, as a date, in the past, far away, and as nonsense",
        arguments: [
            ("Retry-After: 30", .seconds(30)),
            ("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:50:07 GMT", .seconds(30)),
            ("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun Nov  6 08:50:07 1994", .seconds(30)),
            ("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:00:00 GMT", .zero),
            ("Retry-After: 999999999", .seconds(86_400)), ("Retry-After: soon", nil), ("Retry-After: -1", nil),
            ("Retry-After: Sun, 06 Nov 1994 08:50:07 GMT", nil),
        ] as [(String, Duration?)]
    )
    func retryAfter(headers: String, expected: Duration?) async throws {
        let answer = "HTTP/1.1 429 Too Many Requests\r\n\(headers)\r\nContent-Length: 0\r\n\r\n"
        try await Stage.simulated.serve(upgrade: .refuse(answer)) { server, configuration in
            let error = await failure {
                _ = try await Web3.connect(to: await server.endpoint, configuration: configuration)
            }
            #expect(error?.httpStatus == 429)
            #expect(error?.retryAfter == expected)
        }
    }

    @Test("A request that comes before the connection stands waits for it, within its time, and was not sent")
    func requestBeforeOpen() async throws {
        try await Stage.simulated.serve { server, configuration in
            let session = Session(to: [await server.endpoint], configuration: configuration)
            let id = session.ids.take()
            let start = try #require(configuration.loop).now
            let outcome = await session.connection.call(
                id,
                EncodedRequest(plain: "m"),
                time: RequestTime(from: session.loop.now, for: .seconds(30))
            )
            guard case .failure(let error) = outcome else {
                Issue.record("no failure")
                return
            }
            #expect(error.code == .timedOut)
            #expect(error.wasSent == false)
            #expect(try #require(configuration.loop).now.since(start) == .seconds(30))
        }
    }

    @Test("The end of a connection names its endpoint", arguments: Stage.allCases)
    func endpointInEnds(stage: Stage) async throws {
        for ending in 0..<4 {
            try await stage.run { web3, server in
                let endpoint = await server.endpoint
                var items = try await web3.subscribe(NumbersRequest()).makeAsyncIterator()
                await server.act { client in
                    switch ending {
                    case 0: client.drop()
                    case 1: client.channel.finishWriting()
                    case 2 where stage != .ipc: client.close(1001, "going away")
                    default: client.raw(stage == .ipc ? Array("}".utf8) : [0xFF, 0xFF])
                    }
                }
                let error = await failure { _ = try await items.next() }
                #expect(error?.message.contains("\(endpoint)") == true, "\(String(describing: error))")
            }
        }
    }
}
