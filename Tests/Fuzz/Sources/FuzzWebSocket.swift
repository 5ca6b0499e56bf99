import HeadstreamWebSocket

/// A parser's event, copied.
private enum Seen: Equatable {
    case message([UInt8], MessageKind)
    case ping([UInt8])
    case pong([UInt8])
    case close(UInt16?, [UInt8])
    case failed(WebSocketError)
}

/// All events of `stream`, fed in pieces of `chunk` bytes as a channel feeds them.
private func events(
    _ stream: [UInt8],
    _ role: WebSocketRole,
    _ limit: Int,
    _ agreement: DeflateAgreement?,
    chunk: Int
) -> [Seen] {
    var parser = FrameParser(role: role, maxMessageSize: limit)
    if let agreement { parser.agreed(on: agreement) }
    var seen: [Seen] = []
    var left: [UInt8] = []
    var rest = stream[...]
    repeat {
        left += rest.prefix(chunk)
        rest = rest.dropFirst(chunk)
        let consumed = left.withSlack { bytes in
            var offset = 0
            while true {
                switch parser.next(in: bytes, at: &offset) {
                case .needMore: return offset
                case .message(let payload, let kind):
                    require(payload.count <= limit, "a message of \(payload.count) bytes, the limit is \(limit)")
                    seen.append(.message(Array(payload), kind))
                case .ping(let payload): seen.append(.ping(Array(payload)))
                case .pong(let payload): seen.append(.pong(Array(payload)))
                case .close(let code, let reason): seen.append(.close(code, Array(reason)))
                case .failed(let error): seen.append(.failed(error))
                }
            }
        }
        require(parser.bufferedBytes <= limit, "\(parser.bufferedBytes) bytes are held, the limit is \(limit)")
        left.removeFirst(consumed)
        require(left.count < 140, "\(left.count) bytes are left")
    } while !rest.isEmpty
    return seen
}

private func agreement(_ flags: Int) -> DeflateAgreement {
    DeflateAgreement(
        sendsWithTakeover: flags & 1 != 0,
        receivesWithTakeover: flags & 2 != 0,
        sendWindowBits: 8 + flags >> 2 & 7,
        receiveWindowBits: 8 + flags >> 5 & 7
    )
}

/// Frames in one piece and in others: the same events.
@Sendable func fuzzFrames(_ input: FuzzInput) {
    var input = input
    let flags = input.byte()
    let limit = [0, 5, 125, 1000, 70_000, 1 << 20][flags >> 2 % 6]
    let chunk = 1 + input.byte()
    let compression = flags & 2 != 0 ? agreement(input.byte()) : nil
    let role: WebSocketRole = flags & 1 != 0 ? .server : .client
    requireSame(input.bytes, role, limit, compression, chunk: chunk)
}

/// Requires the same events of `stream` in one piece and in others.
private func requireSame(
    _ stream: [UInt8],
    _ role: WebSocketRole,
    _ limit: Int,
    _ agreement: DeflateAgreement?,
    chunk: Int
) {
    let whole = events(stream, role, limit, agreement, chunk: .max)
    let pieces = events(stream, role, limit, agreement, chunk: chunk)
    guard let agreement else {
        return require(whole == pieces, "in pieces of \(chunk) they differ: \(whole), \(pieces)")
    }
    if withoutCauses(whole) == withoutCauses(pieces) { return }
    // Who looks further back than was agreed is found out where what he looks for is gone, which depends on the pieces. With
    // the largest window there is no further back.
    let widest = DeflateAgreement(
        sendsWithTakeover: agreement.sendsWithTakeover,
        receivesWithTakeover: agreement.receivesWithTakeover,
        sendWindowBits: agreement.sendWindowBits
    )
    let all = events(stream, role, limit, widest, chunk: .max)
    let isSame = withoutCauses(all) == withoutCauses(events(stream, role, limit, widest, chunk: chunk))
    require(
        isSame && isBeginning(whole, of: all) && isBeginning(pieces, of: all),
        "in pieces of \(chunk) they differ: \(whole), \(pieces)"
    )
}

/// Whether the events are the same, or end before because something does not inflate.
private func isBeginning(_ events: [Seen], of all: [Seen]) -> Bool {
    if withoutCauses(events) == withoutCauses(all) { return true }
    guard case .failed(let error)? = events.last, error.code == .corruptCompression else { return false }
    return all.starts(with: events.dropLast())
}

/// A compressed message may break several rules, and which is met first depends on the pieces.
private func withoutCauses(_ events: [Seen]) -> [Seen] {
    events.map { event in
        guard case .failed(let error) = event else { return event }
        switch error.code {
        case .messageTooBig, .inflatedTooBig, .corruptCompression, .invalidUTF8:
            return .failed(WebSocketError(.corruptCompression))
        default: return event
        }
    }
}

/// The bytes as compressed messages in fragments, and compressed by ourselves.
@Sendable func fuzzInflater(_ input: FuzzInput) {
    var input = input
    let agreed = agreement(input.byte())
    let limit = 1 + input.byte() * input.byte()
    let chunk = 1 + input.byte()
    var stream: [UInt8] = []
    var messages = input
    while !messages.isEmpty {
        var payload = messages.take(messages.byte() + messages.byte() * 8)[...]
        var isFirst = true
        repeat {
            let fragment = Array(payload.prefix(1 + chunk * 2))
            payload = payload.dropFirst(fragment.count)
            fragment.withUnsafeBytes {
                let opcode: Opcode = isFirst ? .binary : .continuation
                FrameWriter.append(
                    opcode,
                    payload: $0,
                    mask: nil,
                    isFinal: payload.isEmpty,
                    isCompressed: isFirst,
                    to: &stream
                )
            }
            isFirst = false
        } while !payload.isEmpty
    }
    requireSame(stream, .client, limit, agreed, chunk: chunk)

    var deflater = Deflater(
        DeflateAgreement(
            sendsWithTakeover: agreed.receivesWithTakeover,
            sendWindowBits: agreed.receiveWindowBits
        )
    )
    var sent: [UInt8] = []
    var expected: [Seen] = []
    var output: [UInt8] = []
    while !input.isEmpty {
        let message = input.take(input.byte() + 1)
        expected.append(.message(message, .binary))
        let isCompressed = message.withUnsafeBytes { deflater.compress($0, to: &output) }
        (isCompressed ? output : message).withUnsafeBytes {
            FrameWriter.append(.binary, payload: $0, mask: nil, isCompressed: isCompressed, to: &sent)
        }
    }
    require(events(sent, .client, 256, agreed, chunk: chunk) == expected, "what was compressed differs")
}

/// The heads of both ends, whole and in pieces.
@Sendable func fuzzHandshake(_ input: FuzzInput) {
    var input = input
    let flags = input.byte()
    let chunk = 1 + input.byte()
    let bytes = input.bytes
    if flags & 1 == 0 {
        let offer = flags & 2 == 0 ? nil : DeflateOptions()
        let target = UpgradeTarget(host: "node", port: 80, isSecure: false, userAgent: "fuzz")
        func answer(_ chunk: Int) -> (String, DeflateAgreement?) {
            let made = try? ClientHandshake(to: target, compression: offer) { (key: UnsafeMutableRawBufferPointer) in
                _ = key.initializeMemory(as: UInt8.self, repeating: 7)
            }
            guard var handshake = made else { fatalError("the request is valid") }
            var action = ClientHandshake.Action.needMore
            for end in ends(bytes.count, chunk) {
                let head = Array(bytes[..<end])
                head.withSlack { action = handshake.received(UnsafeRawBufferPointer($0)) }
                guard case .needMore = action else { break }
            }
            if case .needMore = action { action = handshake.endOfStream() }
            if case .accepted(let consumed) = action {
                require(consumed <= min(bytes.count, HTTPHead.maxSize), "\(consumed) bytes are consumed")
            }
            return (describe(action), handshake.compression)
        }
        let (whole, agreement) = answer(.max)
        let (pieces, other) = answer(chunk)
        require(whole == pieces && agreement == other, "in pieces of \(chunk): \(whole), \(pieces)")
    } else {
        func answer(_ chunk: Int) -> String {
            var handshake = ServerHandshake()
            for end in ends(bytes.count, chunk) {
                let head = Array(bytes[..<end])
                var action = ServerHandshake.Action.needMore
                head.withSlack { action = handshake.received(UnsafeRawBufferPointer($0)) }
                switch action {
                case .needMore: continue
                case .accepted(let request, let consumed):
                    require(consumed <= end, "\(consumed) bytes are consumed")
                    return "accepted \(consumed) \(request.acceptance(compression: DeflateOptions()).response)"
                case .refused(let response, let status): return "\(status) \(response)"
                }
            }
            return "more"
        }
        require(answer(.max) == answer(chunk), "in pieces of \(chunk) they differ")
    }
}

/// A connection's tail is at most the read buffer; what ends the stream comes last.
private func ends(_ count: Int, _ chunk: Int) -> [Int] {
    chunk >= count ? [count] : Array(stride(from: chunk, to: count, by: chunk)) + [count]
}

/// Messages quote what had come so far, which depends on the pieces.
private func describe(_ action: ClientHandshake.Action) -> String {
    switch action {
    case .needMore: "more"
    case .accepted(let consumed): "accepted \(consumed)"
    case .refused(let refusal): "refused \(refusal.status)"
    case .failed(let error): "failed \(error.code)"
    }
}
