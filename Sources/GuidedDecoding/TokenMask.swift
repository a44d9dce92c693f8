/// Which tokens of a vocabulary may come, one bit each.
package struct TokenMask: Sendable, Equatable {
    private(set) var words: [UInt64]

    package init(vocabularySize: Int) { words = Array(repeating: 0, count: (vocabularySize + 63) / 64) }

    package func contains(_ token: Int32) -> Bool {
        token >= 0 && Int(token) / 64 < words.count && words[Int(token) / 64] >> (UInt64(token) % 64) & 1 == 1
    }

    package mutating func insert(_ token: Int32) { words[Int(token) / 64] |= 1 << (UInt64(token) % 64) }

    mutating func withWords(_ body: (UnsafeMutableBufferPointer<UInt64>) -> Void) { words.withUnsafeMutableBufferPointer { body($0) } }

    mutating func formUnion(_ other: TokenMask) {
        for index in words.indices { words[index] |= other.words[index] }
    }

    package var isEmpty: Bool { words.allSatisfy { $0 == 0 } }
    package var count: Int { words.reduce(0) { $0 + $1.nonzeroBitCount } }

    var byteCount: Int { 8 * words.count }

    /// Sets all but few of 64 logits to −∞.
    private static func keep(_ word: UInt64, of logits: UnsafeMutableBufferPointer<Float>) {
        withUnsafeTemporaryAllocation(of: Float.self, capacity: 64) { kept in
            _ = kept.initialize(from: logits)
            logits.update(repeating: -.infinity)
            var allowed = word
            while allowed != 0 {
                let place = allowed.trailingZeroBitCount
                logits[place] = kept[place]
                allowed &= allowed - 1
            }
        }
    }

    /// Sets the logits of all other tokens to −∞.
    package func apply(to logits: UnsafeMutableBufferPointer<Float>) {
        for (index, word) in words.enumerated() where word != .max {
            let first = 64 * index
            let last = min(first + 64, logits.count)
            guard first < last else { return }
            guard word != 0 else {
                logits[first..<last].update(repeating: -.infinity)
                continue
            }
            if last - first == 64, word.nonzeroBitCount < 24 {
                Self.keep(word, of: UnsafeMutableBufferPointer(rebasing: logits[first..<last]))
                continue
            }
            var barred = ~word
            while barred != 0 {
                let token = first + barred.trailingZeroBitCount
                if token < last { logits[token] = -.infinity }
                barred &= barred - 1
            }
        }
        let known = 64 * words.count
        if logits.count > known { logits[known...].update(repeating: -.infinity) }
    }
}
