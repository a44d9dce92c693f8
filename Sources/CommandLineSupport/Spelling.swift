/// Words that were mistyped.
package enum Spelling {
    /// The word that is the fewest changes of letters away, at most a third of its length; nil for none.
    package static func closest(to word: String, among words: [String]) -> String? {
        let distances = words.map { (word: $0, distance: distance(Array(word.lowercased()), Array($0.lowercased()))) }
        guard let closest = distances.min(by: { $0.distance < $1.distance }) else { return nil }
        return closest.distance <= max(1, closest.word.count / 3) || closest.word.hasPrefix(word) ? closest.word : nil
    }

    /// Letters that must be put in, left out, changed or swapped with the next.
    private static func distance(_ left: [Character], _ right: [Character]) -> Int {
        var rows = [Array(0...right.count)]
        for (i, letter) in left.enumerated() {
            var row = [i + 1]
            for (j, other) in right.enumerated() {
                var least = min(rows[i][j + 1] + 1, row[j] + 1, rows[i][j] + (letter == other ? 0 : 1))
                if i > 0, j > 0, letter == right[j - 1], left[i - 1] == other { least = min(least, rows[i - 1][j - 1] + 1) }
                row.append(least)
            }
            rows.append(row)
        }
        return rows[left.count][right.count]
    }
}
