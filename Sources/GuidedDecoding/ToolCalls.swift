package import JSON

/// Which calls of functions a text may hold, each written `<tool_call>`, a line break, `{"name": …, "arguments": …}`, a line break and
/// `</tool_call>`.
package struct ToolCalls: Sendable, Equatable {
    package struct Function: Sendable, Equatable {
        package var name: String
        /// The JSON Schema of the arguments, which are an object.
        package var parameters: JSONValue

        package init(name: String, parameters: JSONValue) {
            self.name = name
            self.parameters = parameters
        }
    }

    package var functions: [Function]
    /// Whether several calls may follow each other.
    package var isParallel: Bool
    /// Whether other text may come first, or alone.
    package var isFree: Bool
    /// The JSON Schema of an answer that may come in place of calls; nil for none.
    package var answer: JSONValue?

    package init(functions: [Function], isParallel: Bool, isFree: Bool, answer: JSONValue? = nil) {
        self.functions = functions
        self.isParallel = isParallel
        self.isFree = isFree
        self.answer = answer
    }

    package static let opening = "<tool_call>"
    package static let closing = "</tool_call>"

    var key: String {
        let functions = functions.map { JSONValue.array([.string($0.name), $0.parameters]).serializedText }
        return "\(isParallel) \(isFree) \(functions.joined()) \(answer?.serializedText ?? "")"
    }

    func grammar(_ effort: Effort) throws(GuideError) -> Grammar {
        var automata: [Automaton] = [.never]
        var choices: [Expression] = []
        for function in functions {
            let arguments = automata.count
            do throws(GuideError) {
                automata += try SchemaCompiler.automata(function.parameters, first: arguments, effort)
            } catch {
                throw GuideError("the parameters of \(function.name.prefix(60)), \(error.description)")
            }
            let name = JSONValue.string(function.name).serializedText
            choices.append(.sequence([.text("\(name), \"arguments\": "), .rule(arguments)]))
        }
        let call = Expression.sequence([.text(Self.opening + "\n{\"name\": "), .choice(choices), .text("}\n" + Self.closing)])
        var calls = call
        if isParallel { calls = .sequence([call, .loop(.sequence([.text("\n"), call]), min: 0, max: nil)]) }
        if isFree { calls = .sequence([.automaton(try text(effort)), .optional(calls)]) }
        if let answer {
            let rule = automata.count
            automata += try SchemaCompiler.automata(answer, first: rule, effort)
            calls = .choice([calls, .rule(rule)])
        }
        automata[0] = try AutomatonBuilder.automaton(calls, effort)
        return try Grammar(automata, names: { _ in "the tools" }, effort)
    }

    /// Any text in which no call begins.
    private func text(_ effort: Effort) throws(GuideError) -> Automaton {
        let any = Expression.loop(.bytes(0, 255), min: 0, max: nil)
        let calling = try AutomatonBuilder.automaton(.sequence([any, .text(Self.opening), any]), effort)
        return try StringLanguage(others: [calling.complement()]).text(effort)
    }
}
