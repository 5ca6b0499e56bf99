/// Notifications whose subscription is not known yet: nodes may send the first ones before the response that tells
/// the id (geth's would come behind it, web3.py's users saw them a second earlier).
///
/// Bounded in bytes; the oldest give way. Kept only while a subscribe request waits for its answer. Taking those of an
/// id costs what they are, however many others there are, so a flood of unknown ids slows nothing.
struct OrphanBuffer {
    /// What a record takes beside its bytes, roughly: two arrays and the places in the two collections.
    static let overhead = 160

    private struct Record {
        var sequence: UInt64
        var result: [UInt8]
    }

    /// The records of one id, oldest first; those before `head` have given way.
    private struct Queue {
        var records: [Record] = []
        var head = 0
    }

    private let limit: Int
    private var byID: [[UInt8]: Queue] = [:]
    /// Every record in the order of arrival; one that was taken stays as a name until it comes first.
    private var order: [(id: [UInt8], sequence: UInt64)] = []
    private var orderHead = 0
    private var sequence: UInt64 = 0
    private(set) var count = 0
    private(set) var byteCount = 0
    /// Notifications that gave way since the buffer was made.
    private(set) var lost: UInt64 = 0

    /// - Parameter limit: bytes.
    init(limit: Int) {
        self.limit = limit
    }

    var isEmpty: Bool { self.count == 0 }

    /// Keeps a notification.
    mutating func append(id: UnsafeRawBufferPointer, result: UnsafeRawBufferPointer) {
        let size = id.count + result.count + Self.overhead
        guard id.count <= 1024, size <= self.limit else {
            self.lost &+= 1
            return
        }
        while self.byteCount + size > self.limit { self.dropOldest() }
        let id = Array(id)
        self.sequence &+= 1
        self.byID[id, default: Queue()].records.append(Record(sequence: self.sequence, result: Array(result)))
        self.order.append((id, self.sequence))
        self.count += 1
        self.byteCount += size
    }

    private mutating func dropOldest() {
        guard self.orderHead < self.order.count else { return self.removeAll() }
        let (id, sequence) = self.order[self.orderHead]
        self.orderHead += 1
        self.tidy()
        guard var queue = self.byID.removeValue(forKey: id) else { return }
        if queue.records[queue.head].sequence == sequence {
            self.byteCount -= id.count + queue.records[queue.head].result.count + Self.overhead
            self.count -= 1
            self.lost &+= 1
            queue.records[queue.head].result = []
            queue.head += 1
        }
        guard queue.head < queue.records.count else { return }
        if queue.head > 64, queue.head * 2 > queue.records.count {
            queue.records.removeFirst(queue.head)
            queue.head = 0
        }
        self.byID[id] = queue
    }

    /// Takes out the notifications of `id`, oldest first; the others stay in their order.
    mutating func take(id: UnsafeRawBufferPointer) -> [[UInt8]] {
        guard self.count > 0, let queue = self.byID.removeValue(forKey: Array(id)) else { return [] }
        let results = queue.records[queue.head...].map(\.result)
        self.count -= results.count
        for result in results { self.byteCount -= id.count + result.count + Self.overhead }
        self.tidy()
        return results
    }

    /// Forgets the names of records that are gone when they outnumber the others.
    private mutating func tidy() {
        guard self.order.count > 2 * self.count + 64 else { return }
        let live = self.order[self.orderHead...].filter { entry in
            guard let queue = self.byID[entry.id] else { return false }
            return queue.records[queue.head].sequence <= entry.sequence
        }
        self.order = live
        self.orderHead = 0
    }

    mutating func removeAll() {
        self.byID = [:]
        self.order = []
        self.orderHead = 0
        self.count = 0
        self.byteCount = 0
    }
}
