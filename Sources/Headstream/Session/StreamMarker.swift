import HeadstreamRPC

/// What the session tells a stream between its notifications.
///
/// It lies in the stream's buffer among them, so that it keeps its place: a byte that no JSON begins with, one for the
/// kind, and the rest. A consumer meets it where it could not read a notification, so notifications pay nothing for it.
enum StreamMarker {
    /// The connection is lost; what happens from here on is missed.
    case disconnected(Web3Error)
    /// The next one stands, and the subscription is made anew.
    case reconnected
    /// The node refused to make the subscription anew; it is tried again.
    case refused(Web3Error)

    var bytes: [UInt8] {
        switch self {
        case .disconnected(let error): Self.bytes(0, error)
        case .reconnected: [Arena.markerLead, 1]
        case .refused(let error): Self.bytes(2, error)
        }
    }

    /// The error's code, message and numbers, each ended by a zero byte, which texts here never hold.
    private static func bytes(_ kind: UInt8, _ error: Web3Error) -> [UInt8] {
        let parts = [
            error.code.description, error.message, error.closeCode.map { "\($0)" } ?? "",
            error.rpcCode.map { "\($0)" } ?? "", error.httpStatus.map { "\($0)" } ?? "",
        ]
        return [Arena.markerLead, kind] + parts.flatMap { Array($0.utf8) + [0] }
    }

    /// Reads a record; nil where it is a notification.
    init?(_ record: UnsafeRawBufferPointer) {
        guard record.count >= 2, record[0] == Arena.markerLead else { return nil }
        switch record[1] {
        case 0: self = .disconnected(Self.error(record))
        case 1: self = .reconnected
        case 2: self = .refused(Self.error(record))
        default: return nil
        }
    }

    private static func error(_ record: UnsafeRawBufferPointer) -> Web3Error {
        let parts = record.dropFirst(2).split(separator: 0, omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
        guard parts.count >= 5 else { return Web3Error(.connectionClosed, "the connection was lost") }
        var error = Web3Error(Web3Error.Code(parts[0]), parts[1])
        error.closeCode = UInt16(parts[2])
        error.rpcCode = Int64(parts[3])
        error.httpStatus = Int(parts[4])
        return error
    }
}
