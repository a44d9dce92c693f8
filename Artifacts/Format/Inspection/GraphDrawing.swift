extension GraphOutline {
    /// The outline in Graphviz's language.
    package func dot() -> String {
        var numbers: [String: Int] = [:]
        var lines = [
            "digraph model {", "  label=\"\(Self.escaped(title, for: .dot))\"; labelloc=t; rankdir=TB;",
            "  node [shape=box, style=\"rounded,filled\", fillcolor=white, fontname=\"monospace\", fontsize=10];",
        ]
        for (number, box) in boxes.enumerated() {
            numbers[box.id] = number
            let label = box.label.map { Self.escaped($0, for: .dot) }.joined(separator: "\\n")
            lines.append("  n\(number) [label=\"\(label)\"\(box.isInput ? ", fillcolor=\"#e8f0fe\"" : "")];")
        }
        for arrow in arrows {
            if let from = numbers[arrow.from], let to = numbers[arrow.to] { lines.append("  n\(from) -> n\(to);") }
        }
        return (lines + ["}"]).joined(separator: "\n") + "\n"
    }

    /// The outline as an image: each box below all that it reads.
    package func svg() -> String {
        let layout = Layout(self)
        var lines = [
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"\(layout.width)\" height=\"\(layout.height)\" "
                + "viewBox=\"0 0 \(layout.width) \(layout.height)\" font-family=\"monospace\" font-size=\"11\">",
            "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>",
            "<text x=\"16\" y=\"22\" font-size=\"13\">\(Self.escaped(title, for: .xml))</text>",
        ]
        for arrow in arrows {
            guard let from = layout.frames[arrow.from], let to = layout.frames[arrow.to] else { continue }
            let (x1, y1, x2, y2) = (from.x + from.width / 2, from.y + from.height, to.x + to.width / 2, to.y)
            let bend = (y1 + y2) / 2
            lines.append(
                "<path d=\"M\(x1) \(y1) C\(x1) \(bend) \(x2) \(bend) \(x2) \(y2)\" fill=\"none\" stroke=\"#888\"/>")
        }
        for box in boxes {
            guard let frame = layout.frames[box.id] else { continue }
            lines.append(
                "<rect x=\"\(frame.x)\" y=\"\(frame.y)\" width=\"\(frame.width)\" height=\"\(frame.height)\" rx=\"5\" "
                    + "fill=\"\(box.isInput ? "#e8f0fe" : "#fafafa")\" stroke=\"#444\"/>")
            for (index, line) in box.label.enumerated() {
                lines.append(
                    "<text x=\"\(frame.x + 8)\" y=\"\(frame.y + 15 + 14 * index)\">\(Self.escaped(line, for: .xml))</text>")
            }
        }
        return (lines + ["</svg>"]).joined(separator: "\n") + "\n"
    }

    private enum Language { case dot, xml }

    private static func escaped(_ text: String, for language: Language) -> String {
        var result = ""
        for character in text {
            switch (language, character) {
            case (.dot, "\""): result += "\\\""
            case (.dot, "\\"): result += "\\\\"
            case (.xml, "<"): result += "&lt;"
            case (.xml, ">"): result += "&gt;"
            case (.xml, "&"): result += "&amp;"
            default: result.append(character)
            }
        }
        return result
    }
}

/// Places of boxes: rows by the longest path, columns in the order of what they read; inputs stand right above their first reader.
private struct Layout {
    struct Frame {
        var x: Int
        var y: Int
        var width: Int
        var height: Int
    }

    private(set) var frames: [String: Frame] = [:]
    private(set) var width = 200
    private(set) var height = 40

    init(_ outline: GraphOutline) {
        var sources: [String: [String]] = [:]
        for arrow in outline.arrows { sources[arrow.to, default: []].append(arrow.from) }
        let ranks = Self.ranks(outline, sources)
        var rows = [[GraphOutline.Box]](repeating: [], count: (ranks.values.max() ?? 0) + 1)
        for box in outline.boxes { rows[ranks[box.id] ?? 0].append(box) }
        for row in rows {
            let wanted = row.map { box in
                let centers = (sources[box.id] ?? []).compactMap { frames[$0].map { $0.x + $0.width / 2 } }
                return centers.isEmpty ? 0 : centers.reduce(0, +) / centers.count
            }
            place(zip(row, wanted).sorted { $0.1 < $1.1 })
        }
    }

    private static func ranks(_ outline: GraphOutline, _ sources: [String: [String]]) -> [String: Int] {
        var ranks: [String: Int] = [:]
        for box in outline.boxes where !box.isInput {
            ranks[box.id] = (sources[box.id] ?? []).reduce(1) { max($0, (ranks[$1] ?? 0) + 1) }
        }
        for arrow in outline.arrows {
            guard let reader = ranks[arrow.to], sources[arrow.from] == nil else { continue }
            ranks[arrow.from] = min(ranks[arrow.from] ?? .max, reader - 1)
        }
        return ranks
    }

    private mutating func place(_ row: [(box: GraphOutline.Box, center: Int)]) {
        var left = 16
        var tallest = 0
        for (box, center) in row {
            let width = 16 + 7 * (box.label.map(\.count).max() ?? 0)
            let frame = Frame(x: max(left, center - width / 2), y: height, width: width, height: 8 + 14 * box.label.count)
            frames[box.id] = frame
            left = frame.x + width + 20
            tallest = max(tallest, frame.height)
        }
        width = max(width, left)
        height += tallest + 36
    }
}
