import EthereumTypes
import Headstream
import HeadstreamSockets

/// A gapless consumer of a `chain-node` that reads one log and then nothing until the node has mined so many blocks:
/// `stall PORT BLOCKS LOGS`. Meanwhile other requests are made, one after the other. Then it reads all, and each log must
/// have come once and in its place.
enum Stall {
    static func run(_ arguments: [String]) async throws {
        guard arguments.count == 3, let port = UInt16(arguments[0]), let blocks = Int(arguments[1]),
            let logs = Int(arguments[2])
        else { throw Failed("usage: stall PORT BLOCKS LOGS") }
        let web3 = try await Web3.connect(to: try Endpoint("ws://127.0.0.1:\(port)"))
        let reading = try await Self.follow(web3, blocks, logs, stalls: false)
        let stalled = try await Self.follow(web3, blocks, logs, stalls: true)
        say("reading: \(reading)")
        say("stalled: \(stalled)")
        await web3.close()
    }

    private static func follow(_ web3: Web3, _ blocks: Int, _ logs: Int, stalls: Bool) async throws -> String {
        let loop = EventLoop.shared
        let first = try await web3.eth.blockNumber() + 1
        let last = first + UInt64(blocks) - 1
        let before = Descriptors.residentKilobytes
        return try await withThrowingTaskGroup(of: (Int, Int).self) { group in
            let (gate, open) = AsyncStream<Void>.makeStream()
            group.addTask {
                var updates = web3.eth.logs(LogFilter(), continuity: .gapless(), from: .block(first)).updates
                    .makeAsyncIterator()
                var (told, lags, block, index) = (0, 0, UInt64(0), UInt64(0))
                while told < blocks * logs, let update = try await updates.next() {
                    switch update {
                    case .item(let log):
                        let (number, place) = (log.blockNumber ?? 0, log.logIndex ?? 0)
                        guard number == block ? place == index + 1 : number == max(block + 1, first) && place == 0
                        else {
                            throw Failed("log \(place) of block \(number) behind \(index) of \(block)")
                        }
                        (block, index) = (number, place)
                        told += 1
                        if told == 1, stalls { for await _ in gate {} }
                    case .lagged: lags += 1
                    case .rollback(_, let removed) where !removed.isEmpty: throw Failed("a rollback")
                    case .gap(let range, _): throw Failed("a gap \(range)")
                    default: break
                    }
                }
                return (told, lags)
            }
            var delays: [UInt64] = []
            var memory: [Int] = []
            var reached = first
            while reached < last {
                let began = loop.now.nanoseconds
                reached = try await web3.eth.blockNumber()
                delays.append((loop.now.nanoseconds - began) / 1000)
                memory.append(Descriptors.residentKilobytes)
                try await loop.sleep(for: .milliseconds(2))
            }
            open.finish()
            let outcome = try await group.next() ?? (0, 0)
            delays.sort()
            let held = memory.max() ?? 0
            let (half, most) = (delays[delays.count / 2], delays[delays.count * 99 / 100])
            return
                "\(outcome.0) logs, told \(outcome.1) times that it lags; \(delays.count) requests, p50 \(half) µs, p99 \(most) µs; "
                + "memory \(before) kB, at a quarter \(memory[memory.count / 4]), at the end \(memory[memory.count - 1]), most \(held), "
                + "after reading \(Descriptors.residentKilobytes)"
        }
    }
}
