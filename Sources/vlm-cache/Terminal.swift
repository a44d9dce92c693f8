import ArtifactFormat
import Foundation

/// Output for people and scripts: results on stdout, everything else on stderr.
struct Terminal {
    private let hasColor: Bool

    init() {
        let environment = ProcessInfo.processInfo.environment
        let refusesColor = environment["NO_COLOR"].map { !$0.isEmpty } ?? false
        hasColor = isatty(STDOUT_FILENO) == 1 && !refusesColor && environment["TERM"] != "dumb"
    }

    func heading(_ text: String) -> String { styled(text, "1") }
    func dim(_ text: String) -> String { styled(text, "2") }
    func good(_ text: String) -> String { styled(text, "32") }
    func bad(_ text: String) -> String { styled(text, "31") }

    private func styled(_ text: String, _ code: String) -> String {
        hasColor && !text.isEmpty ? "\u{1b}[\(code)m\(text)\u{1b}[0m" : text
    }

    static func complain(_ text: String) {
        FileHandle.standardError.write(Data("error: \(text)\n".utf8))
    }

    static func note(_ text: String) {
        FileHandle.standardError.write(Data("\(text)\n".utf8))
    }

    /// Whether somebody watches stderr.
    static var isWatched: Bool { isatty(STDERR_FILENO) == 1 }

    static func printJSON(_ value: some Encodable) throws {
        print(String(decoding: try JSONCoding.encode(value, pretty: true), as: UTF8.self), terminator: "")
    }
}

/// Rows under headings, each column as wide as its widest cell.
struct TextTable {
    enum Alignment { case left, right }

    private let columns: [(title: String, alignment: Alignment)]
    private var rows: [[String]] = []

    init(_ columns: [(String, Alignment)]) { self.columns = columns.map { (title: $0.0, alignment: $0.1) } }

    mutating func add(_ cells: String...) { rows.append(cells) }

    /// The table's lines, headings styled for `terminal`.
    func text(_ terminal: Terminal, indent: Int = 0) -> String {
        let widths = columns.indices.map { column in
            rows.reduce(columns[column].title.count) { max($0, $1[column].count) }
        }
        func line(_ cells: [String]) -> String {
            let padded = cells.enumerated().map { column, cell in
                let space = String(repeating: " ", count: widths[column] - cell.count)
                return columns[column].alignment == .left ? cell + space : space + cell
            }
            var text = String(repeating: " ", count: indent) + padded.joined(separator: "  ")
            while text.last == " " { text.removeLast() }
            return text
        }
        return ([terminal.heading(line(columns.map(\.title)))] + rows.map(line)).joined(separator: "\n")
    }
}

/// Numbers as people read them.
enum Figures {
    /// `4.40 GB`, `512 B`: powers of 1000.
    static func bytes(_ count: Double) -> String { scaled(count, units: ["B", "kB", "MB", "GB", "TB"]) }

    static func bytes(_ count: Int) -> String { bytes(Double(count)) }

    /// `3.1 G`: powers of 1000.
    static func count(_ count: Double) -> String { scaled(count, units: ["", "k", "M", "G", "T"]) }

    private static func scaled(_ value: Double, units: [String]) -> String {
        var (value, index) = (value, 0)
        while value >= 999.5 && index + 1 < units.count {
            value /= 1000
            index += 1
        }
        let isWhole = index == 0 && value == value.rounded()
        let digits = isWhole || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2
        let number = String(format: "%.\(digits)f", value)
        return units[index].isEmpty ? number : "\(number) \(units[index])"
    }

    /// `3 min ago`.
    static func age(since seconds: Double) -> String {
        let elapsed = max(0, Date().timeIntervalSince1970 - seconds)
        switch elapsed {
        case ..<60: return "now"
        case ..<3600: return "\(Int(elapsed / 60)) min ago"
        case ..<172_800: return "\(Int(elapsed / 3600)) h ago"
        default: return "\(Int(elapsed / 86_400)) days ago"
        }
    }
}
