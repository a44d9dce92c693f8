/// The graphs of an IR text as boxes and arrows, read line by line.
///
/// What is made of weights and literals alone is no box; it stands in the labels of those that read it.
package struct GraphOutline: Sendable {
    package struct Box: Sendable, Hashable {
        /// Distinct over all graphs of the text.
        package var id: String
        /// Op, operands that are no boxes, and result type; one line each.
        package var label: [String]
        package var isInput: Bool
    }

    package struct Arrow: Sendable, Hashable {
        package var from: String
        package var to: String
    }

    package private(set) var title = ""
    package private(set) var boxes: [Box] = []
    package private(set) var arrows: [Arrow] = []

    /// Longer lines of labels are cut.
    private static let maximumColumns = 64
    private var graphCount = 0
    /// The box that makes a value.
    private var makers: [String: String] = [:]
    /// The text that stands for a value without a box.
    private var constants: [String: String] = [:]

    package init(text: String) {
        for line in text.split(separator: "\n") {
            let trimmed = line.drop(while: \.isWhitespace)
            if trimmed.hasPrefix("// vir") {
                title = String(trimmed.dropFirst(3))
            } else if trimmed.hasPrefix("graph ") {
                beginGraph(trimmed)
            } else if trimmed.hasPrefix("return ") {
                add(id: "return", label: ["return"], isInput: false, reading: Self.values(in: trimmed))
            } else if trimmed.hasPrefix("update ") {
                addUpdate(trimmed)
            } else if trimmed.hasPrefix("%") {
                addNode(trimmed)
            }
        }
    }

    private mutating func beginGraph(_ line: Substring) {
        graphCount += 1
        makers = [:]
        constants = [:]
        guard let open = line.firstIndex(of: "("), let arrow = line.range(of: ") ->") else { return }
        title += "  " + line[..<open]
        for (name, type) in Self.parameters(line[line.index(after: open)..<arrow.lowerBound]) {
            add(id: name, label: [name, type], isInput: true, reading: [])
            makers[name] = "g\(graphCount)\(name)"
        }
    }

    /// `%x: f32[T, 8]` and `state %c: f32[S]`, separated by commas outside of brackets.
    private static func parameters(_ list: Substring) -> [(name: String, type: String)] {
        list.split(separator: "%").dropFirst(list.hasPrefix("%") ? 0 : 1).compactMap { part in
            guard let colon = part.firstIndex(of: ":") else { return nil }
            let type = part[part.index(after: colon)...].prefix { $0 != "]" }
            return ("%" + part[..<colon], type.drop(while: \.isWhitespace) + "]")
        }
    }

    private mutating func addUpdate(_ line: Substring) {
        let values = Self.values(in: line)
        guard values.count == 2, let state = values.first else { return }
        add(id: "update\(state)", label: ["update \(state)"], isInput: false, reading: [values[1]])
    }

    private mutating func addNode(_ line: Substring) {
        guard let equals = line.range(of: " = ") else { return }
        let results = Self.values(in: line[..<equals.lowerBound])
        var rest = line[equals.upperBound...]
        var origin = ""
        if let comment = rest.range(of: "// ") {
            origin = String(rest[comment.upperBound...])
            rest = rest[..<comment.lowerBound]
        }
        var types = ""
        if let colon = rest.range(of: " : ") {
            types = Self.trimmed(rest[colon.upperBound...])
            rest = rest[..<colon.lowerBound]
        }
        let operands = Self.values(in: rest)
        let expression = Self.trimmed(rest)
        let texts = operands.compactMap { constants[$0] }
        guard texts.count < operands.count else {
            let text = operands.isEmpty ? expression : "\(expression.prefix { $0 != "%" })\(texts.joined(separator: ", "))"
            // Constants of constants would double with each line.
            for result in results { constants[result] = Self.shortened(text) }
            return
        }
        let mnemonic = expression.prefix { !$0.isWhitespace }
        let attributes = expression.firstIndex(of: "{").map { String(expression[$0...]) }
        let label = ["\(mnemonic) \(attributes ?? "")"] + texts + [types, origin]
        add(id: results[0], label: label.map { Self.trimmed($0[...]) }.filter { !$0.isEmpty }, isInput: false, reading: operands)
        for result in results { makers[result] = "g\(graphCount)\(results[0])" }
    }

    private mutating func add(id: String, label: [String], isInput: Bool, reading operands: [String]) {
        let box = "g\(graphCount)\(id)"
        boxes.append(Box(id: box, label: label.map(Self.shortened), isInput: isInput))
        var sources: Set<String> = []
        for source in operands.compactMap({ makers[$0] }) where sources.insert(source).inserted {
            arrows.append(Arrow(from: source, to: box))
        }
    }

    /// The values named in a piece of text, in order.
    private static func values(in text: Substring) -> [String] {
        text.split(separator: "%", omittingEmptySubsequences: false).dropFirst().map { part in
            "%" + part.prefix { $0.isLetter || $0.isNumber || $0 == "_" || $0 == "." || $0 == "-" }
        }
    }

    private static func shortened(_ line: String) -> String {
        line.count > maximumColumns ? line.prefix(maximumColumns - 1) + "…" : line
    }

    private static func trimmed(_ text: Substring) -> String {
        var text = text.drop(while: \.isWhitespace)
        while text.last?.isWhitespace ?? false { text.removeLast() }
        return String(text)
    }
}

extension Substring {
    /// The first place of `text`.
    fileprivate func range(of text: String) -> Range<Index>? { firstRange(of: text) }
}
