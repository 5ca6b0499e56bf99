import EthereumTypes
import Foundation
import HeadstreamTesting
import Testing

@testable import Headstream

@Suite("Continuity: real and generated reorganisations")
struct RecordedReorganisationTests {
    private static let folder = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Fixtures/reorg")

    private struct Scene: Decodable {
        let canonical: [BlockHeader]
        let orphaned: [BlockHeader]
    }

    private struct Deep: Decodable {
        struct Block: Decodable {
            let header: BlockHeader
            let logs: [Log]

            var simulated: SimulatedBlock { SimulatedBlock(header: self.header, logs: self.logs) }
        }
        struct Reorganisation: Decodable {
            let commonAncestor: BlockHeader
            let lost: [Block]
            let won: [Block]
        }
        let contract: Address
        let canonical: [Block]
        let reorgs: [Reorganisation]
    }

    private static func read<Value: Decodable>(_ name: String) throws -> Value {
        try JSONDecoder().decode(Value.self, from: Data(contentsOf: self.folder.appending(path: name)))
    }

    @Test("Mainnet's own siblings: each orphan is told, taken back, and the canonical chain stands in the end")
    func siblings() throws {
        let scenes: [Scene] = try Self.read("mainnet-siblings.json")
        #expect(scenes.count == 15)
        for scene in scenes {
            let first = try #require(scene.canonical.first)
            var run = ContinuityRun(seed: 1)
            run.chain = SimulatedChain(seed: 1, startingWith: SimulatedBlock(header: first))
            let id = run.join()
            run.start()
            for header in scene.canonical.dropFirst() {
                // The rivals were the node's head before the block that won.
                for rival in scene.orphaned where rival.number == header.number {
                    run.chain.adopt([SimulatedBlock(header: rival)])
                    run.settle()
                    #expect(run.fold(id).blocks.last?.ref.hash == rival.hash)
                }
                run.chain.adopt([SimulatedBlock(header: header)])
                run.settle()
            }
            #expect(run.fold(id).blocks.map(\.ref.hash) == scene.canonical.dropFirst().map(\.hash))
            #expect(run.fold(id).rollbacks == scene.orphaned.count)
            #expect(run.check().isEmpty)
        }
    }

    @Test("Reorganisations of up to seven blocks with their logs: the folded logs are those of the chain as it ended")
    func deep() throws {
        let scene: Deep = try Self.read("pyevm-deep-reorgs.json")
        for announcesAll in [false, true] {
            var quirks = SimulatedQuirks()
            quirks.announcesWholeBranch = announcesAll
            // From each reorganisation's own start: what had been lost before is not part of the file's canonical chain.
            for reorganisation in scene.reorgs {
                var run = ContinuityRun(seed: 1, quirks: quirks)
                let ancestor = SimulatedBlock(header: reorganisation.commonAncestor)
                run.chain = SimulatedChain(seed: 1, quirks: quirks, startingWith: ancestor)
                let logs = run.join(run.addFilter(LogFilter(address: scene.contract)))
                let heads = run.join()
                run.start()
                for block in reorganisation.lost {
                    run.chain.adopt([block.simulated])
                    run.settle()
                }
                #expect(run.logs(logs).count == reorganisation.lost.flatMap(\.logs).count)
                let isAdopted = run.chain.adopt(reorganisation.won.map(\.simulated))
                #expect(isAdopted)
                run.settle()
                run.mine(3)
                #expect(run.logs(logs) == reorganisation.won.flatMap(\.logs))
                #expect(run.fold(logs).rollbacks == 1)
                #expect(run.fold(heads).rollbacks == 1)
                #expect(run.check(upTo: 2).isEmpty)
            }
        }
    }

    @Test("The chain that they ended in, block by block: nothing asked for but what its blooms demand")
    func canonical() throws {
        let scene: Deep = try Self.read("pyevm-deep-reorgs.json")
        let first = try #require(scene.canonical.first)
        var run = ContinuityRun(seed: 1)
        run.chain = SimulatedChain(seed: 1, startingWith: first.simulated)
        let id = run.join(run.addFilter(LogFilter(address: scene.contract)))
        run.start()
        for block in scene.canonical.dropFirst() {
            run.chain.adopt([block.simulated])
            run.settle()
        }
        #expect(run.requestCount == 1)
        run.mine(40)
        #expect(run.logs(id) == scene.canonical.dropFirst().flatMap(\.logs))
        #expect(run.machine.differences == 0)
    }
}
