/// Rows under headings, each column as wide as its widest cell.
package struct TextTable {
    package enum Alignment: Sendable { case left, right }

    private let columns: [(title: String, alignment: Alignment)]
    private let gap: String
    private var rows: [[String]] = []

    /// - Parameter gap: spaces between columns.
    package init(_ columns: [(String, Alignment)], gap: Int = 2) {
        self.columns = columns.map { (title: $0.0.visible(), alignment: $0.1) }
        self.gap = String(repeating: " ", count: gap)
    }

    package mutating func add(_ cells: [String]) { rows.append(cells.map { $0.visible() }) }

    /// The headings, then the rows, without spaces at the ends of lines.
    package var lines: [String] {
        let all = [columns.map(\.title)] + rows
        let widths = columns.indices.map { column in all.reduce(0) { max($0, $1[column].count) } }
        return all.map { cells in
            let padded = cells.enumerated().map { column, cell in
                let space = String(repeating: " ", count: widths[column] - cell.count)
                return columns[column].alignment == .left ? cell + space : space + cell
            }
            var line = padded.joined(separator: gap)
            while line.last == " " { line.removeLast() }
            return line
        }
    }
}
