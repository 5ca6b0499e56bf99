import HeadstreamRPC
import HeadstreamTesting
import Testing

@testable import Headstream

@Suite("Metrics", .timeLimit(.minutes(15)))
struct MetricsTests {
    @Test("Requests, answers, their latencies and bytes are counted", arguments: Stage.allCases)
    func counting(stage: Stage) async throws {
        try await stage.run { web3, _ in
            for _ in 0..<5 { _ = try await web3.eth.chainID() }
            let metrics = await web3.metrics
            #expect(metrics.requests == 5 && metrics.responses == 5 && metrics.latencies.count == 5)
            #expect(metrics.bytesSent > 200 && metrics.bytesReceived > 100)
            #expect(metrics.latencies.counts.reduce(0, +) == 5)
        }
    }

    @Test("The histogram's ranges, quantiles and sum")
    func histogram() {
        var histogram = LatencyHistogram()
        #expect(histogram.quantile(0.5) == nil)
        for microseconds: UInt64 in [50, 100, 101, 900, 40_000, 31_000_000] { histogram.add(microseconds * 1000) }
        #expect(histogram.count == 6 && histogram.sum == 31_041_151)
        #expect(histogram.counts.first == 2 && histogram.counts.last == 1)
        #expect(histogram.quantile(0) == .microseconds(100))
        #expect(histogram.quantile(0.5) == .microseconds(250))
        #expect(histogram.quantile(0.8) == .microseconds(50_000))
        #expect(histogram.quantile(1) == nil)
    }

    @Test("Prometheus' text: every line is one, histograms are cumulative, labels are escaped")
    func prometheus() async throws {
        try await Stage.simulated.run { web3, server in
            let stream = try await web3.subscribe(NumbersRequest(), whenFull: .dropOldest, bufferLimit: 8192)
            await server.act { client in for number in 1...3000 { client.notify("0x1", "\(number)") } }
            await eventually { await web3.metrics.notifications == 3000 }
            let metrics = await web3.metrics
            let text = metrics.prometheusText(labels: ["node": "a\"b\\c\nd", "2nd place": "é"])
            #expect(text.hasSuffix("\n") && !text.contains("\n\n"))
            let line = #/(# (HELP|TYPE) headstream_[a-z_]+ .+)|(headstream_[a-z_]+(\{.*\})? [0-9.]+)/#
            for one in text.split(separator: "\n") { #expect(one.wholeMatch(of: line) != nil, "\(one)") }
            let labels = #"_2nd_place="é",node="a\"b\\c\nd""#
            #expect(text.contains("headstream_notifications_total{\(labels)} 3000\n"))
            #expect(text.contains("headstream_notifications_lost_total{\(labels)} \(metrics.notificationsLost)\n"))
            #expect(text.contains(#"headstream_stream_depth{\#(labels.prefix(13))"#))
            #expect(text.contains(#"kind="numbers""#) && text.contains(#"subscription="1""#))
            #expect(text.contains(#"le="+Inf""#) && text.contains(#"le="0.0001""#) && text.contains(#"le="2.5""#))
            #expect(text.contains("headstream_request_duration_seconds_count{\(labels)} 1\n"))
            let types = text.split(separator: "\n").filter { $0.hasPrefix("# TYPE") }
            #expect(Set(types).count == types.count)
            withExtendedLifetime(stream) {}
        }
    }

    @Test("Pauses of reading are counted", arguments: Stage.allCases)
    func pauses(stage: Stage) async throws {
        try await stage.run { web3, server in
            let stream = try await web3.subscribe(NumbersRequest(), whenFull: .suspendReading, bufferLimit: 8192)
            await server.act { client in for number in 1...3000 { client.notify("0x1", "\(number)") } }
            await eventually { await web3.metrics.readingPauses == 1 }
            #expect(await web3.metrics.streams.first?.pauses == 1)
            var count = 0
            for try await _ in stream {
                count += 1
                if count == 3000 { break }
            }
            #expect(await web3.metrics.notificationsLost == 0)
        }
    }
}
