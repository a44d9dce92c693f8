internal import GuidedDecoding
internal import JSON
internal import Serving

/// Reads the fields that offer functions to the model.
struct ToolFields {
    let fields: FieldReader

    private static let maxTools = 128
    private static let maxNameBytes = 64

    /// What a request offers, and whether the model must take it.
    struct Offer: Sendable {
        /// As the chat template sees them.
        var tools: [JSONValue]
        /// The calls that count in an answer.
        var limit: AnswerReading.Limit
        /// The calls that an answer may hold, or must.
        fileprivate var calls: ToolCalls
        /// Whether nothing else decides what the answer is.
        fileprivate var isLoose: Bool
        /// Whether an answer must be a call.
        var mustCall: Bool { !calls.isFree }
    }

    /// Nil where no function can be called.
    func read() throws(APIError) -> Offer? {
        let tools = try tools()
        let isParallel = try fields.boolean("parallel_tool_calls") ?? true
        let choice = try choice(of: tools)
        guard !tools.isEmpty, choice != .none else { return nil }
        let (values, functions) = (tools.map(\.value), tools.map(\.function))
        let limit = isParallel ? AnswerReading.Limit.several(functions) : .one(functions)
        var calls = ToolCalls(functions: functions, isParallel: isParallel, isFree: false)
        switch choice {
        case .none, .required: break
        case .auto:
            // A strict function's arguments satisfy its schema; those of others may be anything.
            for (index, tool) in tools.enumerated() where !tool.isStrict { calls.functions[index].parameters = ["type": "object"] }
            calls.isFree = true
            return Offer(tools: values, limit: limit, calls: calls, isLoose: !tools.contains(where: \.isStrict))
        case .named(let name):
            calls.functions.removeAll { !$0.name.isExactly(name) }
            calls.isParallel = false
            guard !calls.functions.isEmpty else {
                throw .invalid("tool_choice names the function \(quoted: name, upTo: 60), which is not among tools", param: "tool_choice")
            }
        }
        return Offer(tools: values, limit: limit, calls: calls, isLoose: false)
    }

    private enum Choice: Equatable {
        case none
        case auto
        case required
        case named(String)
    }

    private func choice(of tools: [Tool]) throws(APIError) -> Choice {
        guard let value = fields.value("tool_choice") else { return .auto }
        let choice: Choice
        switch value {
        case "none": return .none
        case "auto": return .auto
        case "required": choice = .required
        default:
            guard let object = value.objectValue, object["type"] == "function", let name = object["function"]?["name"]?.stringValue else {
                throw .invalid(
                    "tool_choice must be none, auto, required or {\"type\":\"function\",\"function\":{\"name\":…}}", param: "tool_choice")
            }
            choice = .named(name)
        }
        guard !tools.isEmpty else { throw .invalid("tool_choice asks for a call, but there are no tools", param: "tool_choice") }
        return choice
    }

    private struct Tool {
        var value: JSONValue
        var function: ToolCalls.Function
        var isStrict: Bool
    }

    private func tools() throws(APIError) -> [Tool] {
        guard let value = fields.value("tools") else { return [] }
        guard let list = value.arrayValue else { throw fields.mismatch("tools", value, "a list") }
        guard list.count <= Self.maxTools else { throw .invalid("tools holds \(list.count) functions, more than \(Self.maxTools)", param: "tools") }
        var tools: [Tool] = []
        for (index, value) in list.enumerated() {
            let tool = try tool(value, place: "tools[\(index)]")
            guard !tools.contains(where: { $0.function.name.isExactly(tool.function.name) }) else {
                throw .invalid("tools[\(index)].function.name \(quoted: tool.function.name, upTo: 64) is there twice", param: "tools[\(index)].function.name")
            }
            tools.append(tool)
        }
        return tools
    }

    /// A tool as chat templates show it: as it is, without what asks for nothing of this server.
    private func shown(_ tool: JSONObject, _ function: JSONObject, place: String) throws(APIError) -> JSONValue {
        let table = FieldTable.function
        try table.check(function, in: "\(place).function.")
        var (shown, inner) = (tool, function)
        for name in table.unsupported.keys.sorted() {
            if let value = tool[name], table.unsupported[name]?.accepts(value) == false { try table.check([name: value], in: place + ".") }
            shown.removeValue(forKey: name)
            inner.removeValue(forKey: name)
        }
        shown["function"] = .object(inner)
        return .object(shown)
    }

    private func tool(_ value: JSONValue, place: String) throws(APIError) -> Tool {
        guard let object = value.objectValue else { throw .invalid("\(place) must be an object", param: place) }
        guard object["type"] == "function" else { throw .invalid("\(place).type must be function", param: "\(place).type") }
        guard let inner = object["function"]?.objectValue else { throw .invalid("\(place).function must be an object", param: "\(place).function") }
        let function = FieldReader(object: inner, prefix: "\(place).function.")
        let shown = try shown(object, inner, place: place)
        guard let name = try function.string("name"), !name.isEmpty, name.utf8.count <= Self.maxNameBytes else {
            throw .invalid("\(place).function.name must be a name of 1 to \(Self.maxNameBytes) bytes", param: "\(place).function.name")
        }
        _ = try function.string("description")
        // A function without parameters takes no arguments.
        var parameters: JSONObject = ["type": "object", "const": [:]]
        if let value = function.value("parameters"), value.objectValue?.isEmpty != true {
            guard let object = value.objectValue else { throw function.mismatch("parameters", value, "a JSON Schema of an object") }
            parameters = object
            if parameters["type"] == nil { parameters["type"] = "object" }
            guard parameters["type"] == "object" else {
                throw .invalid("\(place).function.parameters must be a JSON Schema of an object", param: "\(place).function.parameters")
            }
        }
        let isStrict = try function.boolean("strict") ?? false
        return Tool(value: shown, function: ToolCalls.Function(name: name, parameters: .object(parameters)), isStrict: isStrict)
    }
}

extension ToolFields.Offer {
    /// What guides an answer that may be a call, or another one that `choice` guides; where a call must come, no other answer may.
    func guide(beside choice: GuideFields.Choice?) throws(APIError) -> GuideFields.Choice? {
        var calls = calls
        guard let choice else { return isLoose ? nil : GuideFields.Choice(guide: .calls(calls), field: "tools") }
        switch choice.guide {
        case .schema(let schema): calls.answer = calls.isFree ? schema : nil
        case .object: calls.answer = calls.isFree ? ["type": "object"] : nil
        case .regex, .choice, .grammar, .calls:
            throw .invalid(
                "\(choice.field) beside tools is not supported, only JSON is; leave one out, or set tool_choice to none", param: choice.field,
                code: "unsupported_parameter")
        }
        calls.isFree = false
        return GuideFields.Choice(guide: .calls(calls), field: calls.answer == nil ? "tools" : choice.field)
    }
}

extension ToolForm {
    private static let wayOut = "ask for a call with tool_choice required or a function's name, or leave tools out"

    /// How the model writes calls; throws where it cannot be told of tools, or calls them in a form that is not read.
    ///
    /// - Parameter mustCall: whether a call is guided from its first byte: then it comes as JSON where the model has no form that is read.
    func form(mustCall: Bool) throws(APIError) -> ToolCalls.Form {
        switch support {
        case .calls(let form): return form
        case .otherForm where mustCall, .none where mustCall: return .json
        case .otherForm:
            throw .invalid(
                "the model's chat template writes calls of tools in a form that is not read: <tool_call>{\"name\": …, \"arguments\": …}</tool_call> and <tool_call><function=…><parameter=…> are; \(Self.wayOut)",
                param: "tools", code: "unsupported_parameter")
        case .none:
            throw .invalid("the model's chat template does not tell it of tools; \(Self.wayOut)", param: "tools", code: "unsupported_parameter")
        }
    }
}
