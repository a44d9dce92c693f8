internal import Foundation

/// The functions that every template can call.
enum TemplateGlobals {
    static var all: [(String, JinjaValue)] {
        let functions: [(String, JinjaCallable.Body)] = [
            ("range", range), ("dict", dictionary), ("namespace", namespace), ("raise_exception", raise),
            ("strftime_now", formattedNow), ("joiner", joiner), ("cycler", cycler),
        ]
        return functions.map { ($0.0, .callable(JinjaCallable($0.0, $0.1))) }
    }

    private static let rangeLimit = 100_000

    private static func range(
        _ evaluator: TemplateEvaluator, _ arguments: JinjaArguments
    ) throws(ChatTemplateError) -> JinjaValue {
        var numbers: [Int] = []
        for value in arguments.positional {
            guard let number = value.wholeNumber else {
                throw evaluator.failure("'\(value.typeName)' object cannot be interpreted as an integer")
            }
            numbers.append(number)
        }
        guard (1...3).contains(numbers.count) else { throw evaluator.failure("range expected 1 to 3 arguments") }
        let (start, stop) = numbers.count == 1 ? (0, numbers[0]) : (numbers[0], numbers[1])
        let step = numbers.count == 3 ? numbers[2] : 1
        if step == 0 { throw evaluator.failure("range() arg 3 must not be zero") }
        var elements: [JinjaValue] = []
        var number = start
        while step > 0 ? number < stop : number > stop {
            guard elements.count < rangeLimit else { throw evaluator.exceeded("a range has more than \(rangeLimit) elements") }
            elements.append(.int(number))
            let (next, overflow) = number.addingReportingOverflow(step)
            if overflow { break }
            number = next
        }
        return .list(elements)
    }

    private static func members(
        _ evaluator: TemplateEvaluator, _ arguments: JinjaArguments
    ) throws(ChatTemplateError) -> JinjaDictionary {
        var members = JinjaDictionary()
        if let first = arguments.positional.first {
            if case .dictionary(let dictionary) = first {
                members = dictionary
            } else {
                guard let pairs = first.iterated else {
                    throw evaluator.failure("'\(first.typeName)' object is not iterable")
                }
                for pair in pairs {
                    guard let parts = pair.iterated, parts.count == 2 else {
                        throw evaluator.failure("dictionary update sequence needs pairs")
                    }
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
        let message = try evaluator.text(arguments.value(0, "message") ?? .undefined("message"))
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
        let length = strftime(&buffer, buffer.count, "=" + format, &parts)
        guard length > 0 else { throw evaluator.failure("strftime_now has no room for its result") }
        return .string(String(decoding: buffer[1..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self))
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
        let advance = JinjaCallable("next", receiver: .list(items)) { (_, _) throws(ChatTemplateError) in
            defer { position = (position + 1) % items.count }
            return items[position]
        }
        var members = JinjaDictionary()
        members.set("next", .callable(advance))
        return .dictionary(members)
    }
}
