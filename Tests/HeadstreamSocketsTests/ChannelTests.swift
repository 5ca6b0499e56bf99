import Glibc
import HeadstreamLocks
import HeadstreamSockets
import Testing

@Suite("Channels")
struct ChannelTests {
    @Test("Bytes go both ways over TCP and Unix sockets", arguments: [0, 1, 2])
    func echo(kind: Int) async throws {
        try await withLoop { loop in
            let address: SocketAddress =
                switch kind {
                case 0: .host("127.0.0.1", port: 0)
                case 1: .unix(path: temporarySocketPath())
                default: .unix(path: "@headstream-\(getpid())-\(UInt32.random(in: 0...(.max)))")
                }
            let pair = try await Pair.make(loop, on: address)
            await loop.on {
                pair.client.write("hello ")
                pair.client.write("server")
                pair.server.write("hello client")
            }
            await pair.serverSide.wait { $0.bytes.count == 12 }
            await pair.clientSide.wait { $0.bytes.count == 12 }
            await loop.on {
                #expect(String(decoding: pair.serverSide.bytes, as: UTF8.self) == "hello server")
                #expect(String(decoding: pair.clientSide.bytes, as: UTF8.self) == "hello client")
                // What one turn wrote went out together.
                #expect(pair.serverSide.calls == 1)
                #expect(pair.client.queuedBytes == 0)
                pair.client.close()
                pair.client.close()
            }
            #expect(await pair.serverSide.waitForEnd() == .endOfStream)
            await loop.on {
                #expect(pair.clientSide.end == nil)
                #expect(loop.statistics.openSockets == 1)
                pair.listener.close()
                #expect(loop.statistics.openSockets == 0)
            }
        }
    }
}
