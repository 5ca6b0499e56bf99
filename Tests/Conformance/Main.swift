import Glibc
import HeadstreamSockets

/// The program behind `make autobahn`, `make idle`, `make soak`, parts of `make live` and `make bench`, and some tests: what needs a process of its own, or another program
/// at the other end. It is part of no product.
@main
struct Conformance {
    /// Not async: an async `main` starts libdispatch, whose manager thread would be counted in what rests on the loop.
    static func main() {
        let arguments = Array(CommandLine.arguments.dropFirst())
        let onLoop = arguments.first != "idle" || arguments.last == "loop"
        Task(executorPreference: onLoop ? EventLoop.shared.executor : nil) {
            do {
                try await Self.run(arguments)
                exit(0)
            } catch {
                say("error: \(error)")
                exit(1)
            }
        }
        while true { pause() }
    }

    private static func run(_ arguments: [String]) async throws {
        let rest = Array(arguments.dropFirst())
        switch arguments.first {
        case "autobahn-client": try await AutobahnClient.run(rest)
        case "autobahn-server": try await AutobahnServer.run(rest)
        case "silent-node": try await SilentNode.run()
        case "idle": try await IdleClient.run(rest)
        case "crowd": try await Crowd.run(rest)
        case "day": try await Day.run()
        case "soak-nodes": try await SoakNodes.run(rest)
        case "soak": try await Soak.run(rest)
        case "live": try await LiveRun.run(rest)
        case "chain-node": try await ChainBurst.run(rest)
        case "stall": try await Stall.run(rest)
        default:
            say(
                "usage: HeadstreamConformance autobahn-client|autobahn-server|silent-node|idle|crowd|day|soak-nodes|soak|live"
                    + "|chain-node|stall …"
            )
            exit(64)
        }
    }
}

/// Prints a line at once, whatever standard output is.
func say(_ text: String) {
    let line = Array((text + "\n").utf8)
    _ = write(STDOUT_FILENO, line, line.count)
}
