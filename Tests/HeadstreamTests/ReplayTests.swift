import Headstream
import HeadstreamTesting
import Testing

@Suite("Replays through real sockets")
struct ReplayTests {
    @Test("The mainnet session's heads arrive typed, over WebSocket and IPC", arguments: [false, true])
    func mainnetHeads(overIPC: Bool) async throws {
        let transport: TestNode.Transport = overIPC ? .ipc() : .webSocket()
        try await withReplay(of: Fixture.path("sessions/mainnet-14000000-14000010.io"), on: transport) { web3, _ in
            var numbers: [UInt64] = []
            for try await head in web3.eth.newHeads() { numbers.append(head.number) }
            #expect(numbers == Array(14_000_000...14_000_010))
        }
    }
}
