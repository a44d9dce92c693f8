internal import Foundation

/// The functions that every template can call.
enum TemplateGlobals {
    static var all: [(String, JinjaValue)] {
        let functions: [(String, JinjaCallable.Body)] = [
            ("range", range), ("dict", dictionary), ("namespace", namespace), ("raise_exception", raise),
            ("strftime_now", formattedNow), ("joiner", joiner), ("cycler", cycler), ("lipsum", lipsum),
        ]
        let fromKeys = JinjaValue.callable(JinjaCallable("fromkeys", dictionaryFromKeys))
        return functions.map { name, body in
            (name, .callable(JinjaCallable(name, member: { name == "dict" && $0 == "fromkeys" ? fromKeys : nil }, body)))
        }
    }

    private static let rangeLimit = 100_000

    private static func range(
        _ evaluator: TemplateEvaluator, _ arguments: JinjaArguments
    ) throws(ChatTemplateError) -> JinjaValue {
        var numbers: [Int] = []
        for value in arguments.positional { numbers.append(try evaluator.whole(value)) }
        guard (1...3).contains(numbers.count) else { throw evaluator.failure("range expected 1 to 3 arguments") }
        let (start, stop) = numbers.count == 1 ? (0, numbers[0]) : (numbers[0], numbers[1])
        let step = numbers.count == 3 ? numbers[2] : 1
        if step == 0 { throw evaluator.failure("range() arg 3 must not be zero") }
        guard let range = JinjaRange(start: start, stop: stop, step: step), range.count <= rangeLimit else {
            throw evaluator.exceeded("a range has more than \(rangeLimit) elements")
        }
        return .range(range)
    }

    private static func members(
        _ evaluator: TemplateEvaluator, _ arguments: JinjaArguments
    ) throws(ChatTemplateError) -> JinjaDictionary {
        var members = JinjaDictionary()
        if let first = arguments.positional.first {
            if case .dictionary(let dictionary) = first {
                members = dictionary
            } else {
                for pair in try evaluator.elements(first) {
                    let parts = try evaluator.elements(pair)
                    guard parts.count == 2 else { throw evaluator.failure("dictionary update sequence needs pairs") }
                    try evaluator.set(parts[0], parts[1], in: &members)
                }
            }
        }
        for (name, value) in arguments.named { members.set(name, value) }
        return members
    }

    private static func dictionary(
        _ evaluator: TemplateEvaluator, _ arguments: JinjaArguments
    ) throws(ChatTemplateError) -> JinjaValue {
        .dictionary(try members(evaluator, arguments))
    }

    private static func dictionaryFromKeys(
        _ evaluator: TemplateEvaluator, _ arguments: JinjaArguments
    ) throws(ChatTemplateError) -> JinjaValue {
        var dictionary = JinjaDictionary()
        for key in try evaluator.elements(arguments.value(0, "iterable") ?? .none) {
            try evaluator.set(key, arguments.value(1, "value") ?? .none, in: &dictionary)
        }
        return .dictionary(dictionary)
    }

    private static func namespace(
        _ evaluator: TemplateEvaluator, _ arguments: JinjaArguments
    ) throws(ChatTemplateError) -> JinjaValue {
        let members = try members(evaluator, arguments)
        for case .string(let name, _) in members.keys { try evaluator.checkMember(name) }
        guard members.depth <= TemplateEvaluator.valueDepthLimit else { throw evaluator.exceeded("values nest too deep") }
        return evaluator.makeNamespace(members)
    }

    private static func raise(
        _ evaluator: TemplateEvaluator, _ arguments: JinjaArguments
    ) throws(ChatTemplateError) -> JinjaValue {
        guard let given = arguments.value(0, "message") else { throw evaluator.failure("raise_exception() needs a message") }
        let message = try evaluator.text(given)
        throw ChatTemplateError(reason: .raised, line: evaluator.line, message: message)
    }

    private static func formattedNow(
        _ evaluator: TemplateEvaluator, _ arguments: JinjaArguments
    ) throws(ChatTemplateError) -> JinjaValue {
        guard case .string(let format, _)? = arguments.value(0, "format"), format.utf8.count <= 1000 else {
            throw evaluator.failure("strftime_now needs a format of at most 1000 bytes")
        }
        var seconds = evaluator.now.map { time_t($0) } ?? time(nil)
        var parts = tm()
        guard localtime_r(&seconds, &parts) != nil else { throw evaluator.failure("the time cannot be shown") }
        var buffer = [CChar](repeating: 0, count: 16_384)
        // The leading mark tells an empty result from one that did not fit.
        // A time without zone has an empty one; microseconds are not C's to show.
        var shown = PythonText.split(format, on: "%%")
        for (letter, text) in [("f", "000000"), ("z", ""), ("Z", "")] {
            shown = shown.map { PythonText.replacing($0, "%" + letter, with: text) }
        }
        let length = strftime(&buffer, buffer.count, "=" + shown.joined(separator: "%%"), &parts)
        guard length > 0 else { throw evaluator.failure("strftime_now has no room for its result") }
        return .string(String(decoding: buffer[1..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }

    private static func lipsum(
        _ evaluator: TemplateEvaluator, _ arguments: JinjaArguments
    ) throws(ChatTemplateError) -> JinjaValue {
        throw evaluator.failure("lipsum() is random; a prompt must not be")
    }

    private static func joiner(
        _ evaluator: TemplateEvaluator, _ arguments: JinjaArguments
    ) throws(ChatTemplateError) -> JinjaValue {
        let separator = arguments.value(0, "sep") ?? .string(", ")
        var isUsed = false
        return .callable(
            JinjaCallable("joiner", receiver: separator) { (_, _) throws(ChatTemplateError) in
                defer { isUsed = true }
                return isUsed ? separator : .string("")
            })
    }

    private static func cycler(
        _ evaluator: TemplateEvaluator, _ arguments: JinjaArguments
    ) throws(ChatTemplateError) -> JinjaValue {
        let items = arguments.positional
        guard !items.isEmpty else { throw evaluator.failure("at least one item has to be provided") }
        var position = 0
        let held = JinjaValue.list(items)
        let advance = JinjaCallable("next", receiver: held) { (_, _) throws(ChatTemplateError) in
            defer { position = (position + 1) % items.count }
            return items[position]
        }
        let reset = JinjaCallable("reset") { (_, _) throws(ChatTemplateError) in
            position = 0
            return .none
        }
        let member = { (name: String) -> JinjaValue? in
            switch name {
            case "next": .callable(advance)
            case "reset": .callable(reset)
            case "current": items[position]
            default: nil
            }
        }
        return .callable(
            JinjaCallable("cycler", receiver: .list([held]), member: member) { (evaluator, _) throws(ChatTemplateError) in
                throw evaluator.failure("'Cycler' object is not callable")
            })
    }
}
