/// Words that were mistyped.
package enum Spelling {
    /// The word that was most likely meant; nil where none is like the one that was typed.
    ///
    /// In this order: the same letters, a few of them changed (at most a third of the shorter word), the beginning of a word, some of a
    /// word's parts between dashes, and letters left out behind the first (`img`, `list` for `ls`).
    package static func closest(to typed: String, among words: [String]) -> String? {
        let letters = plain(typed)
        guard letters.count > 1 else { return nil }
        let known = words.map { (word: $0, letters: plain($0)) }
        let changes = known.map { (word: $0.word, distance: distance(letters, $0.letters), most: max(1, min(letters.count, $0.letters.count) / 3)) }
        if let near = changes.filter({ $0.distance <= $0.most }).min(by: { $0.distance < $1.distance }) { return near.word }
        let parts = Set(typed.lowercased().split { !$0.isLetter && !$0.isNumber })
        let rules: [((word: String, letters: [Character])) -> Bool] = [
            { $0.letters.starts(with: letters) },
            { parts.isSubset(of: $0.word.lowercased().split { !$0.isLetter && !$0.isNumber }) },
            { leavesOut(letters, of: $0.letters) || leavesOut($0.letters, of: letters) },
        ]
        for rule in rules {
            if let found = known.filter(rule).min(by: { $0.letters.count < $1.letters.count }) { return found.word }
        }
        return nil
    }

    /// Letters and digits, in lower case.
    private static func plain(_ word: String) -> [Character] { word.lowercased().filter { $0.isLetter || $0.isNumber } }

    /// Whether the shorter word is what is left of the longer one, at least a third of it, without some letters behind the first.
    private static func leavesOut(_ short: [Character], of long: [Character]) -> Bool {
        guard short.count > 1, short.count < long.count, 3 * short.count >= long.count, short.first == long.first else { return false }
        var rest = short[...]
        for letter in long where letter == rest.first { rest.removeFirst() }
        return rest.isEmpty
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
