/// The conversation between one client and one node, as recorded: the messages of both sides byte by byte, what
/// happened to the connection, and when.
///
/// Its text form is the `.io` form of Ethereum's execution-apis tests with times and connection events in remarks:
///
/// ```
/// // @0.000 open
/// >> {"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}
/// // @0.004
/// << {"jsonrpc":"2.0","id":1,"result":"0x1"}
/// // @14.002 close 1001 going away
/// ```
///
/// A transcript may hold several connections one after another: each begins with ``Event/open``.
public struct Transcript: Sendable, Hashable {
    /// What it is called in error messages: the file it was read from.
    public var name: String
    /// Everything in the order of the file, remarks included.
    public var entries: [Entry]

    public init(name: String = "transcript", entries: [Entry] = []) {
        self.name = name
        self.entries = entries
    }

    /// One message, event or remark.
    public struct Entry: Sendable, Hashable {
        /// When it happened, counted from the start of the recording; nil where the file gives no time, which means
        /// as soon as possible after what stands before it.
        public var time: Duration?
        /// What happened.
        public var event: Event
        /// The line of the file it was read from, counted from 1; 0 if it was not read. Not part of equality.
        public var line: Int

        public init(_ event: Event, at time: Duration? = nil, line: Int = 0) {
            self.time = time
            self.event = event
            self.line = line
        }

        public static func == (left: Self, right: Self) -> Bool {
            left.time == right.time && left.event == right.event
        }

        public func hash(into hasher: inout Hasher) {
            hasher.combine(self.time)
            hasher.combine(self.event)
        }
    }

    /// What a line of a transcript tells.
    public enum Event: Sendable, Hashable {
        /// `>> `: a message of the client, as it was on the wire.
        case fromClient([UInt8])
        /// `<< `: a message of the node, as it was on the wire.
        case fromNode([UInt8])
        /// `// @T open`: the connection stands (for a WebSocket: after the handshake).
        case open
        /// `// @T close CODE REASON`: the node closed the connection in order. The code is one of RFC 6455 §7.4,
        /// 1005 if the node gave none; the reason has at most 123 bytes.
        case close(code: UInt16, reason: String)
        /// `// @T drop`: the connection vanished without a closing handshake.
        case drop
        /// `// @T error TEXT`: the connection failed, or could not be made.
        case error(String)
        /// Any other `//` line: what follows the two slashes, with its leading space.
        case remark(String)
    }
}

extension Transcript {
    /// The messages' text where it is short and printable, for error messages: at most `limit` bytes, escaped.
    static func excerpt(of bytes: some Collection<UInt8>, limit: Int = 64) -> String {
        var text = ""
        for byte in bytes.prefix(limit) {
            switch byte {
            case 0x20..<0x7F: text.unicodeScalars.append(Unicode.Scalar(byte))
            default: text += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }
        return bytes.count > limit ? text + "…" : text
    }
}
