package import JSON

/// Which calls of functions a text may hold, each between `<tool_call>` and `</tool_call>` on lines of their own.
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

    /// What stands between the marks of a call.
    package enum Form: String, Sendable {
        /// `{"name": …, "arguments": …}`, as Hermes and Qwen2.5 write it.
        case json
        /// `<function=NAME>`, each argument between `<parameter=NAME>` and `</parameter>`, and `</function>`, as Qwen3.5 writes it.
        case tags
    }

    package var form = Form.json
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
        return "\(form) \(isParallel) \(isFree) \(functions.joined()) \(answer?.serializedText ?? "")"
    }

    func grammar(_ effort: Effort) throws(GuideError) -> Grammar {
        var automata: [Automaton] = [.never]
        var choices: [Expression] = []
        for function in functions {
            do throws(GuideError) {
                choices.append(try call(of: function, &automata, effort))
            } catch {
                throw GuideError("the parameters of \(function.name.prefix(60)), \(error.description)")
            }
        }
        let call = Expression.sequence([.text(Self.opening + "\n"), .choice(choices), .text("\n" + Self.closing)])
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

    /// What stands between the marks, with the rules that it calls added to `automata`.
    private func call(of function: Function, _ automata: inout [Automaton], _ effort: Effort) throws(GuideError) -> Expression {
        let first = automata.count
        switch form {
        case .json:
            automata += try SchemaCompiler.automata(function.parameters, first: first, effort)
            return .sequence([.text("{\"name\": \(JSONValue.string(function.name).serializedText), \"arguments\": "), .rule(first), .text("}")])
        case .tags:
            guard !function.name.contains(where: { "<>\n".contains($0) }) else { throw GuideError("the name cannot stand in a tag") }
            let (arguments, rules) = try SchemaCompiler.tags(function.parameters, first: first, effort)
            automata += rules
            return .sequence([.text("<function=\(function.name)>\n"), arguments, .text("</function>")])
        }
    }

    /// Any text in which no call begins.
    private func text(_ effort: Effort) throws(GuideError) -> Automaton {
        let any = Expression.loop(.bytes(0, 255), min: 0, max: nil)
        let calling = try AutomatonBuilder.automaton(.sequence([any, .text(Self.opening), any]), effort)
        return try StringLanguage(others: [calling.complement()]).text(effort)
    }
}
