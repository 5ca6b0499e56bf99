import Foundation
import Headstream
import HeadstreamJSON
import HeadstreamTesting

/// What a recording's subscriptions brought, read without client and node: the oracle of replays.
struct RecordedStreams {
    /// One kind of subscription on one connection of the recording.
    struct Stream: Sendable {
        var params: [JSONValue]
        var results: [JSONValue]

        var kind: String { self.params.first?.stringValue ?? "" }
    }

    /// For each connection, its streams in the order of their first subscribe request.
    private(set) var connections: [[Stream]] = []

    init(_ transcript: Transcript) throws {
        var streams: [Stream] = []
        var asked: [String: [JSONValue]] = [:]
        var ids: [String: Int] = [:]
        for entry in transcript.entries {
            switch entry.event {
            case .open:
                if !streams.isEmpty { self.connections.append(streams) }
                (streams, asked, ids) = ([], [:], [:])
            case .fromClient(let bytes):
                for call in Self.elements(try JSONValue(parsing: bytes)) where call["method"] == "eth_subscribe" {
                    asked[call["id"]?.description ?? ""] = call["params"]?.arrayValue ?? []
                }
            case .fromNode(let bytes):
                for message in Self.elements(try JSONValue(parsing: bytes)) {
                    if let id = message["params"]?["subscription"]?.description {
                        // Not every notification has a subscription here: some came before it was acknowledged.
                        guard let index = ids[id], let result = message["params"]?["result"] else { continue }
                        streams[index].results.append(result)
                    } else if let params = asked.removeValue(forKey: message["id"]?.description ?? ""),
                        let id = message["result"]?.description
                    {
                        let index = streams.firstIndex { $0.params == params } ?? streams.count
                        if index == streams.count { streams.append(Stream(params: params, results: [])) }
                        ids[id] = index
                    }
                }
            default: break
            }
        }
        if !streams.isEmpty { self.connections.append(streams) }
    }

    private static func elements(_ value: JSONValue) -> [JSONValue] {
        if case .array(let elements) = value { elements } else { [value] }
    }
}

/// A subscription with recorded parameters, its notifications as they are on the wire.
struct RecordedRequest<Notification: Decodable & Sendable>: SubscriptionRequest {
    var recorded: [JSONValue]

    var parameters: [any Encodable & Sendable] { self.recorded }
}
