internal import Plan
internal import Tensors

/// Writes modules as text that the parser reads back to an equal module.
package struct Printer {
    private static let typeColumn = 60
    private static let originColumn = 92

    private var lines: [String] = []

    /// The text of a module, ending in a newline.
    package static func print(_ module: Module) -> String {
        var printer = Printer()
        printer.lines.append("// vir 1 · stage: \(module.stage.rawValue)")
        for symbol in module.symbols { printer.lines.append("symbol \(symbol.name) <= \(symbol.bound)") }
        for (key, value) in module.attributes.sorted(by: { $0.key < $1.key }) {
            printer.lines.append("attribute \(quoted(key)) = \(quoted(value))")
        }
        for weight in module.weights {
            let source = weight.source == weight.name ? "" : " = \(quoted(weight.source))"
            printer.lines.append("weight \(name(weight.name)) : \(weight.type)\(source)")
        }
        for graph in module.graphs {
            printer.lines.append("")
            printer.add(graph)
        }
        return printer.lines.joined(separator: "\n") + "\n"
    }

    /// The text of one graph, ending in a newline.
    package static func print(_ graph: Graph) -> String {
        var printer = Printer()
        printer.add(graph)
        return printer.lines.joined(separator: "\n") + "\n"
    }

    private mutating func add(_ graph: Graph) {
        let names = ValueNames(graph)
        let inputs = graph.inputs.map { input in
            "\(names[input.value]): \(graph.type(of: input.value))" + (input.mask.map { " \($0)" } ?? "")
        }
        let states = graph.states.map { state in
            "state \(names[state.value]): \(graph.type(of: state.value))" + (state.role.map { " \($0)" } ?? "")
        }
        let results = graph.results.map { graph.type(of: $0).description }
        let resultList = results.isEmpty ? "()" : results.joined(separator: ", ")
        lines.append("graph \(Self.name(graph.name))(\((inputs + states).joined(separator: ", "))) -> \(resultList) {")
        for node in graph.nodes { lines.append(Self.line(node, graph, names)) }
        for state in graph.states where state.updated != state.value {
            lines.append("  update \(names[state.value]) = \(names[state.updated])")
        }
        if !graph.results.isEmpty {
            lines.append("  return " + graph.results.map { names[$0] }.joined(separator: ", "))
        }
        lines.append("}")
    }

    private static func line(_ node: Node, _ graph: Graph, _ names: ValueNames) -> String {
        var text = "  " + node.results.map { names[$0] }.joined(separator: ", ") + " = " + expression(node, names)
        text = padded(text, typeColumn) + " : " + node.results.map { graph.type(of: $0).description }.joined(separator: ", ")
        if let kernel = node.kernel { text += " via \(quoted(kernel.text))" }
        let places = node.results.compactMap { graph[$0].place }
        if places.count == node.results.count {
            text += " at " + places.map(print).joined(separator: ", ")
        }
        return node.origin.isEmpty ? text : padded(text, originColumn) + "  // \(node.origin)"
    }

    private static func print(_ place: Place) -> String {
        switch place {
        case .arena(let region): "\(region.offset)+\(region.byteCount)" + (region.stride.map { " by \($0)" } ?? "")
        case .result(let position): "result \(position)"
        case .input(let name): "input \(name)"
        }
    }

    /// The node without results and types, such as `rms_norm %x, %w {eps = 1e-06}`.
    static func expression(_ node: Node, _ names: ValueNames) -> String {
        var text = node.op.mnemonic
        for (attribute, value) in zip(node.op.schema.attributes, node.op.attributeValues) where attribute.placement == .subject {
            text += " \(print(value.value))"
        }
        let operands = zip(node.operands, operandLabels(node)).map { value, label in
            label.map { "\($0): \(names[value])" } ?? names[value]
        }
        if !operands.isEmpty { text += " " + operands.joined(separator: ", ") }
        var attributes: [String] = []
        for (attribute, value) in zip(node.op.schema.attributes, node.op.attributeValues) where attribute.placement == .braces {
            if attribute.mayBeOmitted && value.value == node.op.schema.defaultValue(attribute) { continue }
            attributes.append("\(value.name) = \(print(value.value))")
        }
        if !attributes.isEmpty { text += " {\(attributes.joined(separator: ", "))}" }
        return text
    }

    /// The names that optional operands carry in text; nil for those that need none.
    private static func operandLabels(_ node: Node) -> [String?] {
        let specs = node.op.schema.operands
        if specs.contains(where: { $0.kind == .variadic }) { return node.operands.map { _ in nil } }
        return specs.filter { $0.isPresent(node.op) }.map { $0.kind == .optional ? $0.name : nil }
    }

    static func print(_ value: AttributeValue) -> String {
        switch value {
        case .int(let number): "\(number)"
        case .float(let number): "\(number)"
        case .bool(let flag): "\(flag)"
        case .word(let word): word
        case .name(let text): name(text)
        case .names(let list): "[" + list.map(name).joined(separator: ", ") + "]"
        case .ints(let list): "[" + list.map(\.description).joined(separator: ", ") + "]"
        case .floats(let list): "[" + list.map(\.description).joined(separator: ", ") + "]"
        case .shape(let shape): shape.description
        case .element(let element): element.rawValue
        case .type(let type): type.description
        }
    }

    private static func padded(_ text: String, _ column: Int) -> String {
        text + String(repeating: " ", count: Swift.max(0, column - text.count))
    }

    private static func name(_ name: String) -> String {
        !name.isEmpty && name.utf8.allSatisfy(CharacterClass.isBareName) ? "@\(name)" : "@\(quoted(name))"
    }

    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case "\t": quoted += "\\t"
            case "\r": quoted += "\\r"
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}

/// How the values of a graph are called in text: inputs and states by name, results of nodes by number.
///
/// Values that the graph's text does not show, such as those made later, are called `%value.12`.
package struct ValueNames {
    private var names: [ValueID: String] = [:]

    package init(_ graph: Graph) {
        for input in graph.inputs { names[input.value] = "%\(input.name)" }
        for state in graph.states { names[state.value] = "%\(state.name)" }
        var count = 0
        for node in graph.nodes {
            for result in node.results {
                names[result] = "%\(count)"
                count += 1
            }
        }
    }

    package subscript(value: ValueID) -> String { names[value] ?? "%value.\(value.index)" }
}

extension Module: CustomStringConvertible {
    package var description: String { Printer.print(self) }
}

extension Graph: CustomStringConvertible {
    package var description: String { Printer.print(self) }
}
