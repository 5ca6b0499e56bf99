import Synchronization

/// What all buffers of a client may take together, in bytes of memory: the blocks of their arenas, used or not.
///
/// Only the loop takes (when an arena grows), and consumers give back, so what the loop finds free stays free until it
/// takes it. Arenas grow rarely, so notifications cost nothing here.
package final class BufferBudget: Sendable {
    /// In bytes.
    package let limit: Int
    private let taken = Atomic(0)

    package init(limit: Int) {
        self.limit = max(0, limit)
    }

    /// Bytes that the buffers hold now.
    package var used: Int { self.taken.load(ordering: .relaxed) }

    /// Bytes that may still be taken.
    var room: Int { max(0, self.limit - self.used) }

    /// Whether so little is left that blocks are given back as soon as they are empty.
    var isTight: Bool { self.used > self.limit / 4 * 3 }

    func take(_ bytes: Int) {
        self.taken.add(bytes, ordering: .relaxed)
    }

    func giveBack(_ bytes: Int) {
        self.taken.subtract(bytes, ordering: .relaxed)
    }
}
