/// How far apart two words are, for suggestions of what was meant.
package enum EditDistance {
    /// The number of insertions, deletions, substitutions and swaps of neighbours between two words (optimal string
    /// alignment). Words are cut to 64 bytes: suggestions are for what people type.
    package static func between(_ left: String, _ right: String) -> Int {
        let left = Array(left.utf8.prefix(64))
        let right = Array(right.utf8.prefix(64))
        var beforeLast = [Int](repeating: 0, count: right.count + 1)
        var last = Array(0...right.count)
        for row in left.indices {
            var current = [row + 1]
            current.reserveCapacity(right.count + 1)
            for column in right.indices {
                let isSame = left[row] == right[column]
                var best = min(last[column] + (isSame ? 0 : 1), last[column + 1] + 1, current[column] + 1)
                if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                    best = min(best, beforeLast[column - 1] + 1)
                }
                current.append(best)
            }
            beforeLast = last
            last = current
        }
        return last[right.count]
    }

    /// The candidates close enough to `word` to be what was meant, nearest first: at most a third of it differs,
    /// or it begins one of them.
    package static func suggestions(for word: String, among candidates: [String], limit: Int = 3) -> [String] {
        let bound = max(1, word.utf8.count / 3)
        var ranked: [(distance: Int, place: Int, candidate: String)] = []
        for (place, candidate) in candidates.enumerated() {
            let distance = self.between(word, candidate)
            if distance <= bound {
                ranked.append((distance, place, candidate))
            } else if word.utf8.count >= 3, candidate.hasPrefix(word) {
                ranked.append((bound, place, candidate))
            }
        }
        ranked.sort { ($0.distance, $0.place) < ($1.distance, $1.place) }
        return ranked.prefix(limit).map(\.candidate)
    }
}
