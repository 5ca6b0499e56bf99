import Foundation
import Glibc
import HeadstreamLocks
import HeadstreamSockets
import HeadstreamTesting
import Testing

@testable import Headstream

/// Tests in processes of their own, because what they count is the process's.
@Suite("What connecting leaves behind", .timeLimit(.minutes(15)))
struct LeakTests {
    @Test("1,000 connects and cuts at random moments leave no socket, object or memory behind")
    func cuts() async throws {
        let result = await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
            await Cuts.run()
        }
        print(String(decoding: result?.standardErrorContent ?? [], as: UTF8.self))
    }

    @Test("Descriptors are close-on-exec; sockets of TCP send at once and give up after 30 s without acknowledgement")
    func descriptors() async throws {
        await #expect(processExitsWith: .success) {
            let before = OpenDescriptors.named
            let loop = EventLoop(name: "test")
            let configuration = Configuration.patient(on: loop)
            let server = try await ScriptedServer(on: loop)
            let ipc = try await ScriptedServer(on: loop, isIPC: true)
            let web3 = try await Web3.connect(to: await server.endpoint, configuration: configuration)
            let local = try await Web3.connect(to: await ipc.endpoint, configuration: configuration)
            guard try await web3.eth.chainID() == 1, try await local.eth.chainID() == 1 else { exit(2) }
            // By what they are, too: a number that was in passing use before may be one of ours now.
            let new = OpenDescriptors.named.filter { before[$0.key] != $0.value }.keys
            // epoll, eventfd, timerfd, two listeners, two ends of two connections.
            guard new.count >= 9 else { exit(3) }
            for descriptor in new where fcntl(descriptor, F_GETFD) & FD_CLOEXEC == 0 { exit(4) }
            var connected = 0
            var timeouts: [CInt] = []
            for descriptor in new {
                var peer = sockaddr_in()
                var length = socklen_t(MemoryLayout<sockaddr_in>.size)
                let isConnected = withUnsafeMutablePointer(to: &peer) {
                    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(descriptor, $0, &length) }
                }
                guard isConnected == 0, peer.sin_family == sa_family_t(AF_INET) else { continue }
                connected += 1
                guard OpenDescriptors.option(descriptor, TCP_NODELAY) == 1 else { exit(5) }
                timeouts.append(OpenDescriptors.option(descriptor, TCP_USER_TIMEOUT))
            }
            // The client's end has one, the accepted end has none.
            guard timeouts.sorted() == [0, 30_000] else { exit(6) }
            guard connected == 2 else { exit(7) }
            await web3.close()
            await local.close()
            exit(0)
        }
    }

    @Test("SIGPIPE's disposition is the user's: writing to a peer that has gone kills nothing and changes nothing")
    func sigpipe() async throws {
        await #expect(processExitsWith: .success) {
            signal(SIGPIPE, SIG_DFL)
            let loop = EventLoop(name: "test", userTimeout: 0)
            for isIPC in [false, true] {
                let server = try await ScriptedServer(on: loop, isIPC: isIPC, script: { _, _ in })
                var configuration = Configuration.patient(on: loop)
                configuration.reconnect = .never
                let web3 = try await Web3.connect(to: await server.endpoint, configuration: configuration)
                // Both in one turn of the loop: the end is not read before the requests are written.
                await server.act { client in
                    for _ in 0..<3 {
                        let session = web3.session
                        let text = Array(String(repeating: " ", count: 400_000).utf8)
                        let id = session.ids.take()
                        session.connection.enqueue { connection in
                            connection.inbound.processor.submit(
                                id,
                                text: text,
                                now: 0,
                                deadline: .max,
                                waiter: .nobody,
                                actions: &connection.actions
                            )
                            connection.perform()
                        }
                    }
                    client.drop()
                }
                guard await failure({ _ = try await web3.eth.chainID() })?.code == .connectionClosed else { exit(2) }
                await web3.close()
                await server.close()
            }
            var action = sigaction()
            guard sigaction(SIGPIPE, nil, &action) == 0 else { exit(3) }
            guard unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 0 else { exit(4) }
            exit(0)
        }
    }

    @Test("Edge case 109: without a descriptor connecting is an error with a name, and works again with one")
    func noDescriptors() async throws {
        await #expect(processExitsWith: .success) {
            let loop = EventLoop(name: "test", userTimeout: 0)
            let server = try await ScriptedServer(on: loop)
            let endpoint = await server.endpoint
            let configuration = Configuration.patient(on: loop)
            var limit = rlimit(rlim_cur: 64, rlim_max: 64)
            setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            var taken: [Int32] = []
            while true {
                let descriptor = dup(0)
                if descriptor < 0 { break }
                taken.append(descriptor)
            }
            let error = await failure { _ = try await Web3.connect(to: endpoint, configuration: configuration) }
            guard error?.code == .cannotConnect, error?.message.contains("ulimit -n") == true else { exit(2) }
            for descriptor in taken { close(descriptor) }
            let web3 = try await Web3.connect(to: endpoint, configuration: configuration)
            guard try await web3.eth.chainID() == 1 else { exit(3) }
            await web3.close()
            exit(0)
        }
    }
}

/// The process's descriptors.
enum OpenDescriptors {
    /// Without the one that lists them.
    static var all: [Int32] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
        return names.compactMap { Int32($0) }.filter { fcntl($0, F_GETFD) >= 0 }
    }

    /// Each with what it is: `socket:[4711]`, a path.
    static var named: [Int32: String] {
        let files = FileManager.default
        return Dictionary(
            uniqueKeysWithValues: self.all.map { descriptor in
                (descriptor, (try? files.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(descriptor)")) ?? "")
            }
        )
    }

    static func option(_ descriptor: Int32, _ option: Int32) -> Int32 {
        var value: Int32 = -1
        var length = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(descriptor, Int32(IPPROTO_TCP), option, &value, &length)
        return value
    }

    /// The process's resident memory in bytes.
    static var residentBytes: Int {
        let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
        return (text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * sysconf(Int32(_SC_PAGESIZE))
    }
}

/// A thousand clients that are cut at random, in a process of their own.
enum Cuts {
    private static func say(_ text: String) {
        FileHandle.standardError.write(Data((text + "\n").utf8))
    }

    static func run() async {
        let seed = UInt64.random(in: 0...(.max))
        say("seed \(seed)")
        do {
            var random = SeededGenerator(seed: seed)
            let serverLoop = EventLoop(name: "server", userTimeout: 0)
            let clientLoop = EventLoop(name: "client", userTimeout: 0)
            let servers = [
                try await ScriptedServer(on: serverLoop), try await ScriptedServer(on: serverLoop, upgrade: .silence),
                try await ScriptedServer(on: serverLoop, isIPC: true),
                try await ScriptedServer(on: serverLoop, upgrade: .refuse("HTTP/1.1 503 No\r\n\r\nbusy")),
            ]
            var endpoints: [Endpoint] = ["ws://127.0.0.1:1", "ws://name.invalid:1", "/none/at/all.ipc"]
            for server in servers { endpoints.append(await server.endpoint) }
            let proxy = ScriptedProxy(on: serverLoop, .silence)
            let place = try await proxy.listen()
            endpoints.append("ws://node.example")
            var configuration = Configuration.patient(on: clientLoop)
            configuration.proxy = .http(host: place.host, port: place.port)
            configuration.keepalive = .request(every: .milliseconds(100), timeout: .seconds(3600))

            var baseline = (descriptors: 0, memory: 0)
            for round in 0..<1300 {
                // The first ones fill caches.
                if round == 300 {
                    baseline = (try await self.settled(clientLoop, serverLoop), OpenDescriptors.residentBytes)
                }
                let endpoint = endpoints[Int.random(in: 0..<endpoints.count, using: &random)]
                let turns = Int.random(in: 0..<12, using: &random)
                let how = Int.random(in: 0..<5, using: &random)
                await self.play(endpoint, configuration, servers, cutAfter: turns, how)
            }
            let descriptors = try await self.settled(clientLoop, serverLoop)
            let growth = OpenDescriptors.residentBytes - baseline.memory
            say("descriptors \(baseline.descriptors) before, \(descriptors) after; memory grew by \(growth >> 10) KiB")
            // The resolver's threads end by themselves and hold none.
            guard descriptors <= baseline.descriptors else { exit(3) }
            // A sanitizer keeps what was freed, to see it used.
            guard growth < 24 << 20 || getenv("ASAN_OPTIONS") != nil else { exit(4) }
            exit(0)
        } catch {
            say("\(error)")
            exit(5)
        }
    }

    /// One client that connects, perhaps does something, and is cut after so many turns of its loop.
    private static func play(
        _ endpoint: Endpoint,
        _ configuration: Configuration,
        _ servers: [ScriptedServer],
        cutAfter turns: Int,
        _ how: Int
    ) async {
        let connection = WeakConnection()
        await withTaskGroup(of: Void.self) { group in
            let session = Session(to: [endpoint], configuration: configuration)
            connection.set(session.connection)
            group.addTask {
                guard (try? await session.connection.open()) != nil else { return }
                let id = session.ids.take()
                _ = await session.connection.call(
                    id,
                    EncodedRequest(plain: "m"),
                    time: RequestTime(from: session.loop.now, for: .seconds(3600))
                )
            }
            let loop = configuration.loop
            for _ in 0..<turns {
                await withCheckedContinuation { continuation in loop?.execute { continuation.resume() } }
            }
            switch how {
            case 0: group.cancelAll()
            case 1: await session.connection.close()
            case 2: for server in servers { await server.act { $0.drop() } }
            case 3: for server in servers { await server.act { $0.channel.finishWriting() } }
            default: session.connection.abandon()
            }
            // What was not cut by that is now.
            group.cancelAll()
            await session.connection.close()
        }
        await eventually { connection.isGone }
    }

    /// Returns the count of descriptors once both loops have closed theirs.
    private static func settled(_ client: EventLoop, _ server: EventLoop) async throws -> Int {
        await eventually {
            for loop in [client, server] {
                await withCheckedContinuation { continuation in loop.execute { continuation.resume() } }
            }
            return client.statistics.openSockets == 0 && server.statistics.openSockets == 5
        }
        return OpenDescriptors.all.count
    }
}

/// Whether a connection still lives.
private final class WeakConnection: Sendable {
    private struct Reference: Sendable {
        weak var connection: Connection?
    }

    private let reference = Locked(Reference())

    var isGone: Bool { self.reference.withLock { $0.connection == nil } }

    func set(_ connection: Connection) {
        self.reference.withLock { $0.connection = connection }
    }
}
