import HeadstreamJSON
import Testing

@testable import HeadstreamRPC

@Suite("NodeError")
struct NodeErrorTests {
    @Test(
        "Edge case 114: rate limits of providers are told as such",
        arguments: [
            (
                429,
                "Your app has exceeded its compute units per second capacity. If you have retries enabled, you can safely ignore this message. If not, check out https://docs.alchemy.com/reference/throughput"
            ),
            (429, "Your app has exceeded its concurrent requests capacity."),
            (-32005, "project ID request rate exceeded"), (-32005, "Too Many Requests"),
            (-32005, "You've exceeded the RPS limit available on the current plan."), (-32005, "limit exceeded"),
            (
                -32007,
                "50/second request limit reached - reduce calls per second or upgrade your account at quicknode.com"
            ),
            (-32012, "credits limited to 6000/sec"), (-32016, "over rate limit"), (1015, "error code: 1015"),
            (15, "You reached Public endpoint rate limit, please upgrade to paid plan"),
            (-32090, "Too many requests, reason: call rate limit exhausted, retry in 10s"),
            (-32000, "rate limit exceeded"), (1008, "policy violation"), (-32603, "request throttled, slow down"),
            (-32000, "Quota exceeded for quota metric 'Requests' and limit 'Requests per minute'"),
            (-32605, "Rate Limit"),
        ]
    )
    func rateLimits(_ code: Int, _ message: String) {
        let error = NodeError(code: Int64(code), message: message).rpcError
        #expect(error.code == .rateLimited)
        #expect(error.message == message && error.node?.code == Int64(code))
    }

    @Test(
        "Edge case 114: a quota that is used up is not a rate limit",
        arguments: [
            (-32005, "daily request count exceeded, request rate limited"),
            (-32003, "daily request limit reached - upgrade your account at quicknode.com"),
            (
                429,
                "Monthly capacity limit exceeded. Visit https://dashboard.alchemy.com/settings/billing to upgrade your scaling policy for continued service."
            ),
            (-32000, "monthly quota used up"), (402, "out of credits"),
            (-32005, "You have exceeded your daily credit limit"),
        ]
    )
    func quotas(_ code: Int, _ message: String) {
        #expect(NodeError(code: Int64(code), message: message).rpcError.code == .quotaExhausted)
    }

    @Test(
        "Edge case 114: what is too large, reverts or is not allowed is neither",
        arguments: [
            (-32005, "query returned more than 10000 results"), (-32602, "block range too large"),
            (-32005, "query returned more than 10000 results. Try with this block range [0x1, 0x2]."),
            (
                -32602,
                "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range and no limit on the response size, or you can request any block range with a cap of 10K logs in the response."
            ),
            (-32047, "Invalid eth_getLogs request. 'fromBlock'-'toBlock' range too large. Max range: 800"),
            (-32701, "exceed maximum block range: 50000"), (-32000, "Block range limit exceeded."),
            (-32012, "Range too large"), (-32016, "Unauthorized"),
            (-32614, "eth_getLogs is limited to a 10,000 blocks range"),
            (3, "execution reverted: rate limit exceeded"), (-32000, "execution reverted: daily limit exceeded"),
            (-32000, "exceeds block gas limit"), (-32010, "Transaction gas limit exceeded"),
            (-32003, "response too large"),
            (-32000, "Query timeout exceeded. Consider reducing your block range."), (-32601, "Method not found"),
            (-32000, "subscription not found"), (-32005, "txpool is full"), (-32000, "nonce too low"),
            (-32602, "invalid argument 0: hex string without 0x prefix"), (0, ""),
        ]
    )
    func others(_ code: Int, _ message: String) {
        #expect(NodeError(code: Int64(code), message: message).rpcError.code == .node)
    }

    @Test("How long to wait: from the data, from the text, at most a day, never a trap")
    func delays() throws {
        func delay(_ message: String, _ data: String? = nil) throws -> Duration? {
            let value = try data.map { try JSONValue(parsing: Array($0.utf8)) }
            return NodeError(code: 429, message: message, data: value).rpcError.retryAfter
        }
        #expect(try delay("x", #"{"rate":{"allowed_rps":1,"backoff_seconds":24,"current_rps":1.1}}"#) == .seconds(24))
        #expect(try delay("x", #"{"retry_after":"1.5s"}"#) == .milliseconds(1500))
        #expect(try delay("x", #"{"try_again_in":"187.5ms"}"#) == .milliseconds(187))
        #expect(try delay("Too many requests, retry in 10s") == .seconds(10))
        #expect(try delay("try again in 2 minutes") == .seconds(120))
        #expect(try delay("try again in a while") == nil)
        #expect(try delay("retry in 1e400s") == .seconds(1))
        #expect(try delay("retry in \(String(repeating: "9", count: 400))s") == nil)
        #expect(try delay("x", #"{"retry_after":1e300}"#) == .seconds(86_400))
        #expect(try delay("x", #"{"retry_after":-5}"#) == nil)
        #expect(try delay("x", #"{"retry_after":1e999}"#) == nil)
    }
}
