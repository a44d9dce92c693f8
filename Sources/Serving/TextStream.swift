/// Releases generated text as it grows, holding back what may turn out to be a stop string.
///
/// A stop string is found wherever it lies, across any number of pieces; text from its first character on is dropped, or from behind it.
package struct TextStream: Sendable {
    private let stops: [[UInt8]]
    private let longest: Int
    private let includesStop: Bool
    /// Text not released yet, and none of it before is part of a stop string.
    private var held: [UInt8] = []
    /// The stop string that was found.
    package private(set) var stop: String?

    /// - Parameter includesStop: whether the stop string itself is shown.
    package init(stops: [String], includesStop: Bool = false) {
        self.includesStop = includesStop
        self.stops = stops.filter { !$0.isEmpty }.map { Array($0.utf8) }
        longest = self.stops.map(\.count).max() ?? 0
    }

    /// Takes the next piece of text and gives what can be shown now; nothing once a stop string was found.
    ///
    /// Where it may not stop yet, stop strings that end in the piece are text like any other.
    package mutating func append(_ piece: String, mayStop: Bool = true) -> String {
        guard stop == nil else { return "" }
        guard longest > 0 else { return piece }
        held.append(contentsOf: piece.utf8)
        if mayStop, let match = firstMatch() {
            stop = String(decoding: stops[match.index], as: UTF8.self)
            let end = match.start + (includesStop ? stops[match.index].count : 0)
            let text = String(decoding: held[..<end], as: UTF8.self)
            held.removeAll()
            return text
        }
        let keep = possibleStart()
        let text = String(decoding: held[..<keep], as: UTF8.self)
        held.removeFirst(keep)
        return text
    }

    /// Gives what was held back, since nothing follows.
    package mutating func finish() -> String {
        let text = String(decoding: held, as: UTF8.self)
        held.removeAll()
        return text
    }

    /// The stop string that is complete first; of several, the one that begins first.
    private func firstMatch() -> (index: Int, start: Int)? {
        var best: (index: Int, start: Int, end: Int)?
        for (index, stop) in stops.enumerated() where stop.count <= held.count {
            for start in 0...(held.count - stop.count) where held[start...].starts(with: stop) {
                let end = start + stop.count
                if best.map({ (end, start) < ($0.end, $0.start) }) ?? true { best = (index, start, end) }
                break
            }
        }
        return best.map { ($0.index, $0.start) }
    }

    /// Where the longest end of the held text begins that could become a stop string.
    private func possibleStart() -> Int {
        for start in max(0, held.count - longest + 1)..<max(held.count, 1) where start < held.count {
            let tail = held[start...]
            if stops.contains(where: { $0.count > tail.count && $0.starts(with: tail) }) { return start }
        }
        return held.count
    }
}
