import HeadstreamWebSocket
import Testing

@Suite("Pongs")
struct PongPolicyTests {
    @Test("Edge case 111: ten pings in one read are ten pongs")
    func tenPings() {
        var policy = PongPolicy()
        for index in 0..<10 {
            let isAnswered = [UInt8(index)].withUnsafeBytes { policy.receivedPing($0) }
            #expect(isAnswered)
        }
        #expect(policy.drained() == nil)
    }

    @Test("Edge case 111: of a million pings 16 pongs wait, then only the newest is answered")
    func flood() {
        var policy = PongPolicy()
        var answered = 0
        for index in 0..<1_000_000 as Range<UInt32> {
            if withUnsafeBytes(of: index, { policy.receivedPing($0) }) { answered += 1 }
        }
        #expect(answered == 16)
        #expect(policy.drained() == withUnsafeBytes(of: 999_999 as UInt32) { Array($0) })
        // That one waits too: fifteen more fit.
        answered = 0
        for _ in 0..<100 {
            if [1].withUnsafeBytes({ policy.receivedPing($0) }) { answered += 1 }
        }
        #expect(answered == 15)
        #expect(policy.drained()?.isEmpty == false)
        #expect(policy.drained() == nil)
    }
}
