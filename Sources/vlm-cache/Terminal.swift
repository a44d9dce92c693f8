import ArtifactFormat
import CommandLineSupport
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

    /// Terminal sequences in the text are shown, not sent.
    private func styled(_ text: String, _ code: String) -> String {
        let text = text.visible()
        return hasColor && !text.isEmpty ? "\u{1b}[\(code)m\(text)\u{1b}[0m" : text
    }

    /// Whether somebody watches stderr.
    static var isWatched: Bool { isatty(STDERR_FILENO) == 1 }

    static func printJSON(_ value: some Encodable) throws {
        print(String(decoding: try JSONCoding.encode(value, pretty: true), as: UTF8.self), terminator: "")
    }
}

extension TextTable {
    mutating func add(_ cells: String...) { add(cells) }

    /// The table's lines, headings styled for `terminal`.
    func text(_ terminal: Terminal, indent: Int = 0) -> String {
        let lines = lines.map { String(repeating: " ", count: indent) + $0 }
        return ([terminal.heading(lines[0])] + lines.dropFirst()).joined(separator: "\n")
    }
}
