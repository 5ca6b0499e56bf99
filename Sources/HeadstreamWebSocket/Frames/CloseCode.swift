/// The status codes of a close frame (RFC 6455 §7.4) that this package sends or tells.
package enum CloseCode {
    /// The purpose was fulfilled.
    package static let normal: UInt16 = 1000
    /// An endpoint goes away: a server stops, a page is left.
    package static let goingAway: UInt16 = 1001
    /// The peer broke the protocol.
    package static let protocolError: UInt16 = 1002
    /// Never on the wire: the close frame had no code.
    package static let noStatus: UInt16 = 1005
    /// Never on the wire: the stream ended without a close frame.
    package static let abnormal: UInt16 = 1006
    /// A text was not UTF-8.
    package static let invalidPayload: UInt16 = 1007
    /// A message was too big to be processed.
    package static let messageTooBig: UInt16 = 1009

    /// Whether `code` may stand in a close frame.
    ///
    /// Those of RFC 6455 §7.4.1, those registered since (1012 to 1014), and the ranges for libraries and
    /// applications (3000 to 4999, §7.4.2); not 1004 to 1006 and 1015, which exist only for telling.
    package static func isAllowedOnWire(_ code: UInt16) -> Bool {
        switch code {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }
}
