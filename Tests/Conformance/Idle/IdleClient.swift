import Headstream
import HeadstreamSockets

/// Comes to rest in one of several states and stays there, for another process to count its wake-ups:
/// `idle STATE PORT EXECUTOR`, where the executor is `loop` or `default`. Prints `ready` and waits to be killed.
enum IdleClient {
    struct Numbers: SubscriptionRequest {
        typealias Notification = Int
        var kind = "numbers"
        var parameters: [any Encodable & Sendable] { [self.kind] }
    }

    static func run(_ arguments: [String]) async throws {
        guard arguments.count == 3 else { throw Web3Error(.invalidEndpoint, "usage: idle STATE PORT loop|default") }
        var configuration = Configuration()
        configuration.requestTimeout = .seconds(3600)
        // Its pings are wake-ups that are wanted; what is counted is everything else.
        configuration.keepalive = .off
        let web3 = try await Web3.connect(to: Endpoint("ws://127.0.0.1:\(arguments[1])"), configuration: configuration)
        // On the loop or on the default executor, as the task is that this process consists of.
        try await Self.rest(web3, arguments[0])
    }

    private static func rest(_ web3: Web3, _ state: String) async throws {
        switch state {
        case "connected":
            await Self.ready()
        case "subscriptions":
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<10 {
                    let subscription = try await web3.subscribe(Numbers(kind: "nothing"))
                    group.addTask { for try await number in subscription { say("\(number) came") } }
                }
                await Self.ready()
            }
        case "request":
            async let answer = web3.request("test_never", as: String.self)
            _ = try await web3.request("test_answer", as: String.self)
            await Self.ready()
            _ = try await answer
        case "suspended":
            for try await number in web3.notifications(Numbers()) where number == 1 { await Self.ready() }
        case "closed":
            async let answer = web3.request("test_never", as: String.self)
            _ = try await web3.request("test_answer", as: String.self)
            await web3.close()
            do {
                _ = try await answer
            } catch let error as Web3Error where error.code == .connectionClosed {
                await Self.ready()
            }
        default:
            throw Web3Error(.invalidEndpoint, "unknown state")
        }
    }

    private static func ready() async {
        say("ready")
        // Nobody resumes it: what is measured is the library's part of waiting.
        await withUnsafeContinuation { (_: UnsafeContinuation<Void, Never>) in }
    }
}
