import HeadstreamWebSocket
import Testing

@Suite("Closing handshake (RFC 6455 §7)")
struct ClosingHandshakeTests {
    @Test("The peer closes: the code is echoed, the end is known at once and told when the stream ends")
    func peerCloses() {
        for role in [WebSocketRole.client, .server] {
            var closing = ClosingHandshake(role: role)
            #expect(closing.isOpen)
            let action = receiveClose(&closing, 1001, "going")
            #expect(
                action
                    == (role == .server
                        ? .sendCloseAndFinishWriting(code: 1001, reason: "") : .sendClose(code: 1001, reason: ""))
            )
            let end = WebSocketEnd(cause: .peer, code: 1001, reason: "going", isClean: true)
            #expect(closing.end == end)
            #expect(!closing.isOpen && !closing.isEnded)
            #expect(closing.close(code: 1000, reason: "") == .none)
            #expect(closing.endOfStream() == .end(end))
            #expect(closing.isEnded)
            #expect(closing.endOfStream() == .none && closing.deadlineReached() == .none)
        }
    }

    @Test("We close: the server finishes writing first, the client waits for the end")
    func weClose() {
        for role in [WebSocketRole.client, .server] {
            var closing = ClosingHandshake(role: role)
            #expect(closing.close(code: 1000, reason: "done") == .sendClose(code: 1000, reason: "done"))
            #expect(closing.close(code: 1000, reason: "done") == .none)
            #expect(!closing.isOpen)
            let action = receiveClose(&closing, 1000, "")
            #expect(action == (role == .server ? .finishWriting : .none))
            #expect(closing.endOfStream() == .end(WebSocketEnd(cause: .local, code: 1000, reason: "", isClean: true)))
        }
    }

    @Test("Edge case 22: a clean close without a code is 1005, and known before the stream ends")
    func closeWithoutCode() {
        var closing = ClosingHandshake(role: .client)
        #expect(receiveClose(&closing, nil, "") == .sendClose(code: nil, reason: ""))
        #expect(closing.end?.code == 1005 && closing.end?.isClean == true)
    }

    @Test("The stream ends without a close frame: 1006, not clean")
    func abnormalEnd() {
        var open = ClosingHandshake(role: .client)
        let end = WebSocketEnd(cause: .streamEnded, code: 1006, reason: "", isClean: false)
        #expect(open.endOfStream() == .end(end))
        var closing = ClosingHandshake(role: .client)
        _ = closing.close(code: 1000, reason: "")
        #expect(closing.endOfStream() == .end(WebSocketEnd(cause: .local, code: 1006, reason: "", isClean: false)))
    }

    @Test("The deadline ends a close that the peer does not answer, and one that it does not finish")
    func deadline() {
        var open = ClosingHandshake(role: .client)
        #expect(open.deadlineReached() == .none)
        #expect(open.isOpen)
        _ = open.close(code: 1000, reason: "")
        #expect(open.deadlineReached() == .end(WebSocketEnd(cause: .local, code: 1006, reason: "", isClean: false)))
        var lingering = ClosingHandshake(role: .client)
        _ = receiveClose(&lingering, 1000, "bye")
        #expect(
            lingering.deadlineReached() == .end(WebSocketEnd(cause: .peer, code: 1000, reason: "bye", isClean: true))
        )
    }

    @Test("A broken rule is answered with its code, and ends a close in progress")
    func violations() {
        let error = WebSocketError(.invalidUTF8)
        var client = ClosingHandshake(role: .client)
        #expect(client.failed(error) == .sendClose(code: 1007, reason: error.message))
        #expect(client.failed(error) == .none)
        let end = WebSocketEnd(cause: .violation(error), code: 1006, reason: "", isClean: false)
        #expect(client.endOfStream() == .end(end))
        var server = ClosingHandshake(role: .server)
        #expect(server.failed(error) == .sendCloseAndFinishWriting(code: 1007, reason: error.message))
        var closing = ClosingHandshake(role: .client)
        _ = closing.close(code: 1000, reason: "")
        #expect(closing.failed(error) == .end(WebSocketEnd(cause: .local, code: 1006, reason: "", isClean: false)))
    }

    @Test("Edge cases 97 and 113: the peer's reason is kept, without control characters")
    func reasonIsKept() {
        var closing = ClosingHandshake(role: .client)
        _ = receiveClose(&closing, 1008, "parse error:\n\u{1B}[0m at 3")
        #expect(closing.end?.reason == #"parse error: \u{1b}[0m at 3"#)
    }

    @Test("Both ends, driven against each other, end cleanly whoever begins")
    func bothEnds() {
        for first in [WebSocketRole.client, .server] {
            let second: WebSocketRole = first == .client ? .server : .client
            var beginner = ClosingHandshake(role: first)
            var other = ClosingHandshake(role: second)
            guard case .sendClose(let code, let reason) = beginner.close(code: 1000, reason: "x") else {
                Issue.record("no close frame")
                return
            }
            let echo = receiveClose(&other, code, reason)
            #expect(
                echo
                    == (second == .server
                        ? .sendCloseAndFinishWriting(code: 1000, reason: "") : .sendClose(code: 1000, reason: ""))
            )
            _ = receiveClose(&beginner, 1000, "")
            _ = beginner.endOfStream()
            _ = other.endOfStream()
            #expect(beginner.end?.isClean == true && other.end?.isClean == true)
            #expect(other.end?.reason == "x")
        }
    }

    private func receiveClose(_ closing: inout ClosingHandshake, _ code: UInt16?, _ reason: String)
        -> ClosingHandshake.Action
    {
        Array(reason.utf8).withUnsafeBytes { closing.receivedClose(code: code, reason: $0) }
    }
}
