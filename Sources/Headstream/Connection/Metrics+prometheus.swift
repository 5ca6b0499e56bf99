import HeadstreamRPC

extension Metrics {
    /// These metrics in Prometheus' text format, version 0.0.4: names begin with `headstream_`, bytes and seconds are
    /// the units, and each line ends with a newline.
    ///
    /// ```swift
    /// let text = await web3.metrics.prometheusText(labels: ["node": "geth-1"])
    /// ```
    ///
    /// - Parameter labels: put on every line; names of letters, digits and underscores (others become underscores),
    ///   values of any kind.
    public func prometheusText(labels: [String: String] = [:]) -> String {
        var text = PrometheusText(labels)
        text.counter("received_bytes", "Bytes received.", self.bytesReceived)
        text.counter("sent_bytes", "Bytes handed to the socket.", self.bytesSent)
        text.counter("requests", "Requests made.", self.requests)
        text.counter("responses", "Answers to requests.", self.responses)
        text.counter("notifications", "Notifications that had a subscription.", self.notifications)
        text.counter(
            "notifications_early",
            "Notifications before the answer that told their subscription.",
            self.notificationsEarly
        )
        text.counter("notifications_lost", "Notifications dropped for slow consumers.", self.notificationsLost)
        text.counter("reading_pauses", "Times that reading was suspended.", self.readingPauses)
        text.counter("malformed_messages", "Messages that were no JSON-RPC.", self.malformedMessages)
        text.counter("reconnects", "Times that the connection was made anew.", self.reconnects)
        text.counter("renewals", "Times that another connection took the place of one that stood.", self.renewals)
        text.counter("divergences", "Times that an endpoint stood on another branch.", self.divergences)
        text.gauge("connections", "Connections that carry streams.", self.connections)
        text.gauge("requests_waiting", "Requests that wait for an answer or their turn.", self.requestsWaiting)
        text.gauge("subscriptions", "Consumers' subscriptions asked for or active.", self.subscriptions)
        text.gauge("server_subscriptions", "The node's subscriptions for them.", self.serverSubscriptions)
        text.gauge("unsent_bytes", "Bytes that wait to be written.", self.bytesUnsent)
        text.gauge("buffer_memory_bytes", "Memory of all subscriptions' buffers.", self.bufferMemory)
        text.histogram("request_duration_seconds", "From a request to its answer.", self.latencies)
        let streams = self.streams.map { stream in
            (["subscription": "\(stream.id)", "kind": stream.kind], stream)
        }
        text.gauge("stream_depth", "Notifications that wait for a consumer.", streams) { "\($0.depth)" }
        text.gauge("stream_buffered_bytes", "Bytes that wait for a consumer.", streams) { "\($0.bufferedBytes)" }
        text.gauge("stream_high_water_bytes", "The most bytes that ever waited.", streams) { "\($0.highWaterMark)" }
        text.gauge("stream_limit_bytes", "The most bytes that may wait.", streams) { "\($0.limit)" }
        text.counter("stream_lost", "Notifications dropped for this consumer.", streams) { "\($0.lost)" }
        text.counter("stream_pauses", "Times that this consumer suspended reading.", streams) { "\($0.pauses)" }
        return text.text
    }
}

/// Lines in Prometheus' text format.
private struct PrometheusText {
    private(set) var text = ""
    private let common: [String: String]

    init(_ labels: [String: String]) {
        self.common = Dictionary(labels.map { (Self.name($0.key), $0.value) }) { first, _ in first }
    }

    mutating func counter(_ name: String, _ help: String, _ value: UInt64) {
        self.counter(name, help, [([:], value)]) { "\($0)" }
    }

    mutating func gauge(_ name: String, _ help: String, _ value: Int) {
        self.gauge(name, help, [([:], value)]) { "\($0)" }
    }

    mutating func counter<Value>(
        _ name: String,
        _ help: String,
        _ rows: [([String: String], Value)],
        _ value: (Value) -> String
    ) {
        self.family(name + "_total", "counter", help, rows, value)
    }

    mutating func gauge<Value>(
        _ name: String,
        _ help: String,
        _ rows: [([String: String], Value)],
        _ value: (Value) -> String
    ) {
        self.family(name, "gauge", help, rows, value)
    }

    mutating func histogram(_ name: String, _ help: String, _ values: LatencyHistogram) {
        self.head(name, "histogram", help)
        var seen: UInt64 = 0
        for (bound, count) in zip(LatencyHistogram.bounds, values.counts) {
            seen &+= count
            self.line(name + "_bucket", ["le": Self.seconds(bound)], "\(seen)")
        }
        self.line(name + "_bucket", ["le": "+Inf"], "\(values.count)")
        self.line(name + "_sum", [:], Self.seconds(values.sum))
        self.line(name + "_count", [:], "\(values.count)")
    }

    private mutating func family<Value>(
        _ name: String,
        _ type: String,
        _ help: String,
        _ rows: [([String: String], Value)],
        _ value: (Value) -> String
    ) {
        guard !rows.isEmpty else { return }
        self.head(name, type, help)
        for (labels, row) in rows { self.line(name, labels, value(row)) }
    }

    private mutating func head(_ name: String, _ type: String, _ help: String) {
        self.text += "# HELP headstream_\(name) \(help)\n# TYPE headstream_\(name) \(type)\n"
    }

    private mutating func line(_ name: String, _ labels: [String: String], _ value: String) {
        let all = self.common.merging(labels) { _, own in own }.sorted { $0.key < $1.key }
        let list = all.map { "\($0.key)=\"\(Self.escaped($0.value))\"" }.joined(separator: ",")
        self.text += "headstream_\(name)\(list.isEmpty ? "" : "{\(list)}") \(value)\n"
    }

    /// Microseconds as seconds, without what a binary fraction would add.
    private static func seconds(_ microseconds: UInt64) -> String {
        let (whole, rest) = microseconds.quotientAndRemainder(dividingBy: 1_000_000)
        guard rest > 0 else { return "\(whole)" }
        var digits = String("\(1_000_000 + rest)".dropFirst())
        while digits.hasSuffix("0") { digits.removeLast() }
        return "\(whole).\(digits)"
    }

    private static func escaped(_ value: String) -> String {
        var text = ""
        for character in value.unicodeScalars {
            switch character {
            case "\\": text += "\\\\"
            case "\"": text += "\\\""
            case "\n": text += "\\n"
            default: text.unicodeScalars.append(character)
            }
        }
        return text
    }

    /// `[a-zA-Z_][a-zA-Z0-9_]*`.
    private static func name(_ text: String) -> String {
        let name = String(text.unicodeScalars.map { Self.isFit($0) ? Character($0) : "_" })
        return name.unicodeScalars.first.map { ("0"..."9").contains($0) } ?? true ? "_" + name : name
    }

    private static func isFit(_ character: Unicode.Scalar) -> Bool {
        switch character {
        case "a"..."z", "A"..."Z", "0"..."9", "_": true
        default: false
        }
    }
}
