import HeadstreamLocks
import HeadstreamSockets
import HeadstreamWebSocket
import Testing

@testable import Headstream
@testable import HeadstreamTesting

@Suite("Keepalive of a connection, in virtual time", .timeLimit(.minutes(15)))
struct ConnectionKeepaliveTests {
    /// The bytes of the 101: behind them a link falls silent.
    private static let acceptanceSize = 129
    /// Not the answers to the keepalive's own requests, which the usual script gives.
    private static let silence: ScriptedServer.Script = { _, _ in }

    /// A client whose link lets through so many bytes of the node, and then nothing, without a word.
    private static func blackholed(
        _ body: @escaping @Sendable (Web3, ScriptedServer, SimulatedLoop) async throws -> Void
    ) async throws {
        try await Stage.simulated.serve { server, configuration in
            let loop = try #require(configuration.loop as? SimulatedLoop)
            loop.setFaults { _, _ in LinkFaults(toConnector: LinkFault(silentAfter: Self.acceptanceSize)) }
            let web3 = try await Web3.connect(to: await server.endpoint, configuration: configuration)
            try await body(web3, server, loop)
        }
    }

    /// Waits for the end of a connection; returns what it was and when, in seconds of the loop's clock since `start`.
    private static func end(of web3: Web3, on loop: any Loop, since start: LoopInstant) async -> (Web3Error?, Int64) {
        let connection = web3.session.connection
        for _ in 0..<100_000 {
            if let error = connection.ending.withLock({ $0 }) {
                return (error, loop.now.since(start).components.seconds)
            }
            do { try await loop.sleep(until: loop.now.advanced(by: .milliseconds(250))) } catch { break }
        }
        return (nil, 0)
    }

    @Test("Edge case 51: on a blackholed link that is idle the connection is dead 20 s after its first ping")
    func idle() async throws {
        try await Self.blackholed { web3, server, loop in
            let (error, seconds) = await Self.end(of: web3, on: loop, since: loop.now)
            #expect(seconds == 40)
            #expect(error?.code == .connectionClosed)
            #expect(error?.closeCode == 1006)
            let text = "\(web3.endpoint): no byte within 20 s of a ping; the connection is dead"
            #expect(error?.message == text)
            #expect(await server.log.pings == 1)
            // Later requests are told the same.
            #expect(await failure { _ = try await web3.eth.chainID() }?.message == text)
        }
    }

    @Test("Edge case 51: on a blackholed link while requests flow every 5 s: they postpone nothing")
    func whileRequestsFlow() async throws {
        try await Self.blackholed { web3, server, loop in
            let start = loop.now
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<20 {
                    group.addTask {
                        try await loop.sleep(for: .seconds(5 * index))
                        let error = await failure { _ = try await web3.eth.chainID() }
                        #expect(error?.code == .connectionClosed || error?.code == .timedOut)
                    }
                }
                let (error, seconds) = await Self.end(of: web3, on: loop, since: start)
                #expect(seconds == 40)
                #expect(error?.message.contains("dead") == true)
                try await group.waitForAll()
            }
            #expect(await server.log.pings == 1)
        }
    }

    @Test("Edge case 51: while events flow one way, the connection lives although no ping is ever answered")
    func eventsOneWay() async throws {
        try await Stage.simulated.run { web3, server in
            let loop = try #require(web3.session.loop as? SimulatedLoop)
            var items = try await web3.subscribe(NumbersRequest()).makeAsyncIterator()
            await server.act { $0.answersPings = false }
            for number in 0..<240 {
                try await loop.sleep(for: .seconds(15))
                await server.act { $0.notify("0x1", "\(number)") }
                #expect(try await items.next() == number)
            }
            // A ping every 20 s, whatever is heard.
            #expect(await server.log.pings == 180)
            // With the last event goes the life.
            let start = loop.now
            let (error, seconds) = await Self.end(of: web3, on: loop, since: start)
            #expect(error?.message.contains("dead") == true)
            #expect((20...40).contains(seconds))
        }
    }

    @Test("Edge case 52: a pong that stands behind 60 s of one message is no dead link: any byte counts")
    func pongBehindBacklog() async throws {
        try await Stage.simulated.run { web3, server in
            let loop = try #require(web3.session.loop as? SimulatedLoop)
            var items = try await web3.subscribe(NumbersRequest()).makeAsyncIterator()
            await server.act { $0.answersPings = false }
            // One frame, in drops of which none completes a message.
            let text = ScriptedClient.notification("0x1", "7")
            let frame = ScriptedClient.frame(.text, Array((text + String(repeating: " ", count: 65_536)).utf8))
            for start in stride(from: 0, to: frame.count, by: frame.count / 12) {
                try await loop.sleep(for: .seconds(6))
                await server.act { $0.raw(frame[start..<min(frame.count, start + frame.count / 12)]) }
            }
            #expect(try await items.next() == 7)
            await server.act { $0.raw(ScriptedClient.frame(.pong, [])) }
            await server.act { $0.answersPings = true }
            try await loop.sleep(for: .seconds(600))
            #expect(try await web3.eth.chainID() == 1)
        }
    }

    @Test("Edge case 53: the node's pings are answered while a consumer is stuck")
    func stuckConsumer() async throws {
        for stage in Stage.webSockets {
            try await stage.run { web3, server in
                let stream = try await web3.subscribe(NumbersRequest(), whenFull: .dropOldest, bufferLimit: 4096)
                for number in 0..<200 {
                    await server.act { client in
                        for _ in 0..<100 { client.notify("0x1", "\(number)") }
                        client.raw(ScriptedClient.frame(.ping, [UInt8(number)]))
                    }
                    await server.until { $0.pongs.last == [UInt8(number)] }
                }
                #expect(try await web3.eth.chainID() == 1)
                withExtendedLifetime(stream) {}
            }
        }
    }

    @Test("Edge case 54: a ping that cannot be written ends the connection at once")
    func pingWriteError() async throws {
        try await Stage.simulated.serve { server, configuration in
            let loop = try #require(configuration.loop as? SimulatedLoop)
            let endpoint = await server.endpoint
            let handshake = try endpoint.dialling(with: configuration) { loop.fillRandom($0) }.handshake
            let size = try #require(handshake?.request.count)
            // The link breaks with the first byte behind the handshake, which is a ping's.
            loop.setFaults { _, _ in LinkFaults(toListener: LinkFault(cutAfter: size + 1)) }
            let web3 = try await Web3.connect(to: endpoint, configuration: configuration)
            let (error, seconds) = await Self.end(of: web3, on: loop, since: loop.now)
            #expect(seconds == 20)
            #expect(error?.code == .connectionClosed)
            #expect(error?.message.contains("cut") == true, "\(String(describing: error))")
        }
    }

    @Test("Edge case 55: one answer between misses is enough, for hours")
    func consecutiveMisses() async throws {
        try await Stage.simulated.run(configure: { $0.keepalive = .ping(every: .seconds(10), timeout: .seconds(25)) }) {
            web3,
            server in
            let loop = try #require(web3.session.loop as? SimulatedLoop)
            // Not at the moment of a ping.
            try await loop.sleep(for: .seconds(5))
            for _ in 0..<200 {
                await server.act { $0.answersPings = false }
                try await loop.sleep(for: .seconds(20))
                await server.act { $0.answersPings = true }
                try await loop.sleep(for: .seconds(10))
            }
            #expect(await server.log.pings == 600)
            #expect(try await web3.eth.chainID() == 1)
        }
    }

    @Test(
        "Edge case 56: with .request no ping goes out; the answer, an error too, is life, and its absence is death",
        arguments: [false, true]
    )
    func requests(overIPC: Bool) async throws {
        try await SimulatedLoop.run(seed: 9) { loop in
            let server = try await ScriptedServer(on: loop, isIPC: overIPC) { client, message in
                // A node without the method answers with an error.
                for call in message.calls { client.fail(call, -32601, "the method does not exist") }
            }
            var configuration = loop.configuration
            configuration.keepalive = .request()
            let web3 = try await Web3.connect(to: await server.endpoint, configuration: configuration)
            try await loop.sleep(for: .seconds(3605))
            #expect(await server.log.count(of: "net_version") == 180)
            #expect(await server.log.pings == 0)
            #expect(await web3.metrics.requestsWaiting == 0)
            #expect(web3.session.connection.ending.withLock { $0 } == nil)
            await server.act { $0.isDeaf = true }
            let (error, seconds) = await Self.end(of: web3, on: loop, since: loop.now)
            #expect(seconds == 35)
            #expect(error?.message.contains("no byte within 20 s of a request; the connection is dead") == true)
            #expect(error?.closeCode == (overIPC ? nil : 1006))
            await web3.close()
            await server.close()
        }
    }

    @Test("Edge case 56: a hundred slow calls in front of it do not hold up the keepalive's request")
    func requestBesideWindow() async throws {
        try await Stage.simulated.run(
            configure: {
                $0.keepalive = .request()
                $0.maxInFlight = 10
                $0.requestTimeout = .seconds(600)
            },
            script: { client, message in
                if message.calls.first?.method == "net_version" { client.answerAsUsual(message) }
            }
        ) { web3, server in
            let loop = try #require(web3.session.loop as? SimulatedLoop)
            await withTaskGroup(of: Web3Error?.self) { group in
                for _ in 0..<20 { group.addTask { await failure { _ = try await web3.ask("slow") } } }
                await server.until { $0.count(of: "slow") == 10 }
                let start = loop.now
                for await error in group { #expect(error?.code == .timedOut) }
                #expect(loop.now.since(start) > .seconds(590))
            }
            #expect(await server.log.count(of: "net_version") >= 29)
        }
    }

    @Test(
        "Edge case 58: after a sleep of hours a live connection is asked, answers, and goes on; a dead one is found out"
    )
    func slept() async throws {
        for isDead in [false, true] {
            try await Stage.simulated.run { web3, server in
                let loop = try #require(web3.session.loop as? SimulatedLoop)
                // In the middle of a question that has no answer yet.
                await server.act { $0.answersPings = false }
                try await loop.sleep(for: .seconds(30))
                #expect(await server.log.pings == 1)
                loop.pause(for: .seconds(8 * 3600))
                let start = loop.now
                if !isDead { await server.act { $0.answersPings = true } }
                try await loop.sleep(for: .seconds(1))
                // Asked at once, and not called dead for the hours in which nothing could be heard.
                #expect(await server.log.pings == 2)
                #expect(web3.session.connection.ending.withLock { $0 } == nil)
                if isDead {
                    let (error, seconds) = await Self.end(of: web3, on: loop, since: start)
                    #expect(seconds == 20)
                    #expect(error?.message.contains("dead") == true)
                } else {
                    try await loop.sleep(for: .seconds(3600))
                    #expect(try await web3.eth.chainID() == 1)
                }
            }
        }
    }

    @Test("Edge case 119: requests that were due during a sleep time out at once after it")
    func deadlinesAfterSleep() async throws {
        try await Stage.simulated.run(script: Self.silence) { web3, server in
            let loop = try #require(web3.session.loop as? SimulatedLoop)
            await withTaskGroup(of: Web3Error?.self) { group in
                group.addTask { await failure { _ = try await web3.eth.chainID() } }
                await server.until { $0.calls.count == 1 }
                loop.pause(for: .seconds(3600))
                let start = loop.now
                for await error in group { #expect(error?.code == .timedOut) }
                #expect(loop.now.since(start) == .zero)
            }
        }
    }

    @Test("While a consumer with .suspendReading holds up the reading, nothing is asked and nothing is called dead")
    func suspendedReading() async throws {
        try await Stage.simulated.run { web3, server in
            let loop = try #require(web3.session.loop as? SimulatedLoop)
            var items = try await web3.subscribe(NumbersRequest(), whenFull: .suspendReading, bufferLimit: 8192)
                .makeAsyncIterator()
            await server.act { client in
                client.answersPings = false
                for number in 0..<2000 { client.notify("0x1", "\(number)") }
            }
            try await loop.sleep(for: .seconds(3600))
            #expect(web3.session.connection.ending.withLock { $0 } == nil)
            let pings = await server.log.pings
            #expect(pings <= 1)
            #expect(loop.schedule.deadlines.count == 0)
            for number in 0..<2000 { #expect(try await items.next() == number) }
            // It reads again, so it asks again.
            let (error, _) = await Self.end(of: web3, on: loop, since: loop.now)
            #expect(error?.message.contains("dead") == true)
            #expect(await server.log.pings > pings)
        }
    }

    @Test("Without a keepalive, and over IPC by default, a silent connection is left alone", arguments: [false, true])
    func off(overIPC: Bool) async throws {
        try await SimulatedLoop.run(seed: 3) { loop in
            let server = try await ScriptedServer(on: loop, isIPC: overIPC)
            var configuration = loop.configuration
            if !overIPC { configuration.keepalive = .off }
            let web3 = try await Web3.connect(to: await server.endpoint, configuration: configuration)
            #expect(loop.schedule.deadlines.count == 0)
            try await loop.sleep(for: .seconds(3600))
            #expect(await server.log.pings == 0)
            #expect(try await web3.eth.chainID() == 1)
            await web3.close()
            await server.close()
        }
    }

    @Test("An idle connection has one deadline, its keepalive's, and none once it is closed")
    func oneDeadline() async throws {
        try await Stage.simulated.run { web3, server in
            let loop = try #require(web3.session.loop as? SimulatedLoop)
            let stream = try await web3.subscribe(NumbersRequest())
            #expect(try await web3.eth.chainID() == 1)
            for _ in 0..<10 {
                try await loop.sleep(for: .seconds(20))
                #expect(loop.schedule.deadlines.count == 1)
            }
            #expect(await server.log.pings >= 9)
            await web3.close()
            await server.until { $0.ended == 1 }
            #expect(loop.schedule.deadlines.count == 0)
            withExtendedLifetime(stream) {}
        }
    }

    @Test("Times below a tenth of a second count as that")
    func shortest() {
        #expect(
            Keepalive.ping(every: .zero, timeout: .seconds(-1)).times(overIPC: false)?.interval == .milliseconds(100)
        )
        #expect(
            Keepalive.ping(every: .zero, timeout: .seconds(-1)).times(overIPC: false)?.timeout == .milliseconds(100)
        )
        #expect(Keepalive.ping().times(overIPC: true) == nil)
        #expect(Keepalive.request().times(overIPC: true)?.interval == .seconds(20))
        #expect(Keepalive.off.times(overIPC: false) == nil)
    }
}
