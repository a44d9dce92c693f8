internal import Budgets
internal import JSON

/// The variables of a block, and the blocks around it.
final class TemplateScope {
    private var variables: [String: JinjaValue] = [:]
    private let parent: TemplateScope?

    init(_ parent: TemplateScope?) {
        self.parent = parent
    }

    func value(_ name: String) -> JinjaValue? {
        var scope: TemplateScope? = self
        while let current = scope {
            if let value = current.variables[name] { return value }
            scope = current.parent
        }
        return nil
    }

    func set(_ name: String, _ value: JinjaValue) {
        variables[name] = value
    }

    func removeAll() {
        variables = [:]
    }
}

/// Runs the statements of one template once.
final class TemplateEvaluator {
    /// How deep values may nest.
    static let valueDepthLimit = 300
    /// How deep statements, expressions and macros may nest while they run.
    static let runDepthLimit = 400
    /// How many statements, expressions and elements one rendering may touch.
    static let stepLimit = 5_000_000
    /// How many bytes a text, and elements a list, may have.
    private(set) var sizeLimit = 1 << 24
    /// How far the limit on sizes is raised for large conversations.
    private static let largestSizeLimit = 1 << 26

    let now: Int?
    private let budget: WorkBudget?
    private var steps = 0
    /// How many of the steps the budget has paid for.
    private var paidSteps = 0
    private var depth = 0
    /// What could form reference cycles; emptied after rendering.
    private var namespaces: [JinjaNamespace] = []
    private var iterators: [JinjaIterator] = []
    private var closedScopes: [TemplateScope] = []
    /// The line being run, for messages.
    var line = 1

    enum Flow {
        case normal, leaveLoop, nextIteration
    }

    init(now: Int?, budget: WorkBudget? = nil) {
        self.budget = budget
        self.now = now
    }

    func release() {
        for namespace in namespaces { namespace.members = JinjaDictionary() }
        for iterator in iterators { iterator.removeAll() }
        for scope in closedScopes { scope.removeAll() }
    }

    func failure(_ message: String) -> ChatTemplateError {
        ChatTemplateError(reason: .evaluation, line: line, message: message)
    }

    func exceeded(_ message: String) -> ChatTemplateError {
        ChatTemplateError(reason: .limit, line: line, message: message)
    }

    /// Counts work against the limit.
    func spend(_ count: Int = 1) throws(ChatTemplateError) {
        steps += count
        if steps > Self.stepLimit { throw exceeded("it takes more than \(Self.stepLimit) steps") }
        if let budget, steps - paidSteps >= 1024 { try pay(budget) }
    }

    private func pay(_ budget: WorkBudget) throws(ChatTemplateError) {
        let units = (steps - paidSteps) * 20
        paidSteps = steps
        do throws(WorkLimitError) { try budget.spend(units) } catch { throw exceeded(error.description) }
    }

    /// Throws when that much work, which is counted later, would exceed the limit.
    func afford(_ count: Int) throws(ChatTemplateError) {
        if count > remainingSteps { throw exceeded("it takes more than \(Self.stepLimit) steps") }
    }

    var remainingSteps: Int { Self.stepLimit - steps }

    func nested<Result>(_ body: () throws(ChatTemplateError) -> Result) throws(ChatTemplateError) -> Result {
        guard depth < Self.runDepthLimit else { throw exceeded("it nests deeper than \(Self.runDepthLimit) levels") }
        depth += 1
        defer { depth -= 1 }
        try spend()
        return try body()
    }

    /// The value, unless it is larger or deeper than values may be.
    func checked(_ value: JinjaValue) throws(ChatTemplateError) -> JinjaValue {
        switch value {
        case .string(let text, _):
            if text.utf8.count > sizeLimit { throw exceeded("a text grows beyond \(sizeLimit) bytes") }
            try spend(text.utf8.count / 64)
        case .list(let list), .tuple(let list):
            if list.depth > Self.valueDepthLimit { throw exceeded("lists nest deeper than \(Self.valueDepthLimit) levels") }
            try spend(list.elements.count)
        case .dictionary(let dictionary):
            if dictionary.depth > Self.valueDepthLimit { throw exceeded("values nest deeper than \(Self.valueDepthLimit) levels") }
            try spend(dictionary.count)
        case .view, .iterator, .callable:
            if value.depth > Self.valueDepthLimit { throw exceeded("values nest deeper than \(Self.valueDepthLimit) levels") }
        default: break
        }
        return value
    }

    func makeNamespace(_ members: JinjaDictionary) -> JinjaValue {
        let namespace = JinjaNamespace(members)
        namespaces.append(namespace)
        return .namespace(namespace)
    }

    /// An iterator over what `source` computes from `held`; kept until the rendering ends, so that none is freed inside another.
    func makeIterator(_ typeName: String, over held: JinjaValue, _ source: @escaping JinjaIterator.Source) -> JinjaValue {
        let iterator = JinjaIterator(typeName, receiver: held, source)
        iterators.append(iterator)
        return .iterator(iterator)
    }

    func render(_ statements: [TemplateStatement], _ context: JSONObject) throws(ChatTemplateError) -> String {
        let globals = TemplateScope(nil)
        for (name, value) in TemplateGlobals.all { globals.set(name, value) }
        let root = TemplateScope(globals)
        closedScopes = [globals, root]
        for (name, json) in context {
            guard let value = JinjaValue(json) else {
                throw exceeded("the variable '\(name)' nests deeper than \(Self.valueDepthLimit) levels")
            }
            root.set(name, value)
            sizeLimit = min(Self.largestSizeLimit, max(sizeLimit, 128 * value.weight))
        }
        let scope = TemplateScope(root)
        closedScopes.append(scope)
        var output: [UInt8] = []
        _ = try run(statements, scope, &output)
        return String(decoding: output, as: UTF8.self)
    }

    func run(
        _ statements: [TemplateStatement], _ scope: TemplateScope, _ output: inout [UInt8]
    ) throws(ChatTemplateError) -> Flow {
        for statement in statements {
            line = statement.line
            let flow = try run(statement, scope, &output)
            if flow != .normal { return flow }
        }
        return .normal
    }

    private func run(
        _ statement: TemplateStatement, _ scope: TemplateScope, _ output: inout [UInt8]
    ) throws(ChatTemplateError) -> Flow {
        guard depth < Self.runDepthLimit else { throw exceeded("it nests deeper than \(Self.runDepthLimit) levels") }
        depth += 1
        defer { depth -= 1 }
        try spend()
        switch statement.kind {
        case .text(let text): try write(text, &output)
        case .output(let expression): try write(try text(try evaluate(expression, scope)), &output)
        case .condition(let branches, let otherwise):
            for branch in branches where try evaluate(branch.test, scope).isTrue {
                return try run(branch.body, scope, &output)
            }
            return try run(otherwise, scope, &output)
        case .loop(let loop):
            return try run(loop, over: try evaluate(loop.iterable, scope), level: 1, scope, &output)
        case .set(let target, let expression): try assign(try evaluate(expression, scope), to: target, scope)
        case .setBlock(let target, let filters, let body):
            try assign(.string(try captured(body, filters, TemplateScope(scope))), to: target, scope)
        case .with(let bindings, let body):
            let inner = TemplateScope(scope)
            for (target, value) in bindings { try assign(try evaluate(value, scope), to: target, inner) }
            return try run(body, inner, &output)
        case .filterBlock(let filters, let body): try write(try captured(body, filters, TemplateScope(scope)), &output)
        case .macro(let macro): scope.set(macro.name, makeMacro(macro, scope))
        case .callBlock(let macro, let callee, let arguments):
            try runCall(of: callee, arguments, caller: makeMacro(macro, scope), scope, &output)
        case .scope(let body): return try run(body, TemplateScope(scope), &output)
        case .leaveLoop: return .leaveLoop
        case .nextIteration: return .nextIteration
        }
        return .normal
    }

    private func write(_ text: String, _ output: inout [UInt8]) throws(ChatTemplateError) {
        if output.count + text.utf8.count > sizeLimit { throw exceeded("it writes more than \(sizeLimit) bytes") }
        try spend(text.utf8.count / 64)
        output += text.utf8
    }

    private func captured(
        _ body: [TemplateStatement], _ filters: [TemplateFilter], _ scope: TemplateScope
    ) throws(ChatTemplateError) -> String {
        var output: [UInt8] = []
        _ = try run(body, scope, &output)
        var value = JinjaValue.string(String(decoding: output, as: UTF8.self))
        for filter in filters { value = try apply(filter, to: value, scope) }
        return try text(value)
    }

    private func runCall(
        of callee: TemplateExpression, _ arguments: TemplateArguments, caller: JinjaValue, _ scope: TemplateScope,
        _ output: inout [UInt8]
    ) throws(ChatTemplateError) {
        let function = try evaluate(callee, scope)
        var values = try evaluate(arguments, scope)
        values.named.append(("caller", caller))
        try write(try text(try call(function, values)), &output)
    }

    func assign(_ value: JinjaValue, to target: TemplateTarget, _ scope: TemplateScope) throws(ChatTemplateError) {
        switch target {
        case .name(let name): scope.set(name, value)
        case .attribute(let name, let member):
            guard case .namespace(let namespace)? = scope.value(name) else {
                throw failure("cannot assign attribute on non-namespace object '\(name)'")
            }
            try checkMember(member)
            namespace.members.set(member, value)
            if namespace.members.depth > Self.valueDepthLimit { throw exceeded("values nest too deep") }
        case .tuple(let targets):
            let values = try elements(value)
            guard values.count == targets.count else {
                throw failure("cannot unpack \(values.count) values into \(targets.count) names")
            }
            for (target, value) in zip(targets, values) { try assign(value, to: target, scope) }
        }
    }

    func checkMember(_ name: String) throws(ChatTemplateError) {
        if name.hasPrefix("_") { throw failure("a namespace cannot have the member '\(name)', which starts with an underscore") }
    }
}

extension TemplateEvaluator {
    private func run(
        _ loop: TemplateLoop, over iterable: JinjaValue, level: Int, _ scope: TemplateScope, _ output: inout [UInt8]
    ) throws(ChatTemplateError) -> Flow {
        var items = try elements(iterable)
        if let condition = loop.condition {
            var kept: [JinjaValue] = []
            for item in items {
                let inner = TemplateScope(scope)
                try assign(item, to: loop.target, inner)
                if try evaluate(condition, inner).isTrue { kept.append(item) }
            }
            items = kept
        }
        let recurse: JinjaCallable.Body? = loop.isRecursive ? recursion(of: loop, level: level, scope) : nil
        let state = JinjaLoop(items: items, level: level, recurse: recurse)
        // Jinja runs the else branch unless a round came to its end without break or continue.
        var isCompleted = false
        for (index, item) in items.enumerated() {
            try spend()
            state.index = index
            let inner = TemplateScope(scope)
            inner.set("loop", .loop(state))
            try assign(item, to: loop.target, inner)
            let flow = try run(loop.body, inner, &output)
            if flow == .normal { isCompleted = true }
            if flow == .leaveLoop {
                if loop.condition == nil, case .iterator(let iterator) = iterable { iterator.giveBack(items[(index + 1)...]) }
                break
            }
        }
        return isCompleted ? .normal : try run(loop.otherwise, TemplateScope(scope), &output)
    }

    private func recursion(of loop: TemplateLoop, level: Int, _ scope: TemplateScope) -> JinjaCallable.Body {
        { (evaluator, arguments) throws(ChatTemplateError) in
            var output: [UInt8] = []
            let items = arguments.value(0, "iterable") ?? .undefined("iterable")
            _ = try evaluator.nested { () throws(ChatTemplateError) in
                try evaluator.run(loop, over: items, level: level + 1, scope, &output)
            }
            return .string(String(decoding: output, as: UTF8.self))
        }
    }

    private func makeMacro(_ macro: TemplateMacro, _ scope: TemplateScope) -> JinjaValue {
        closedScopes.append(scope)
        return .callable(
            JinjaCallable(macro.name, text: "<Macro \(PythonRepresentation.quoted(macro.name))>", member: macro.member) {
                (evaluator, arguments) throws(ChatTemplateError) in
                try evaluator.nested { () throws(ChatTemplateError) in
                    let inner = TemplateScope(scope)
                    try evaluator.bind(arguments, of: macro, in: inner)
                    var output: [UInt8] = []
                    let line = evaluator.line
                    _ = try evaluator.run(macro.body, inner, &output)
                    evaluator.line = line
                    return .string(String(decoding: output, as: UTF8.self))
                }
            })
    }

    private func bind(
        _ arguments: JinjaArguments, of macro: TemplateMacro, in scope: TemplateScope
    ) throws(ChatTemplateError) {
        var named = arguments.named
        // Defaults see the parameters, those to come as undefined, and nothing that has their names outside.
        var defaults: [(name: String, expression: TemplateExpression)] = []
        for (index, parameter) in macro.parameters.enumerated() {
            if index < arguments.positional.count {
                scope.set(parameter.name, arguments.positional[index])
            } else if let found = named.firstIndex(where: { $0.name == parameter.name }) {
                scope.set(parameter.name, named.remove(at: found).value)
            } else {
                scope.set(parameter.name, .undefined(parameter.name))
                if let expression = parameter.defaultValue { defaults.append((parameter.name, expression)) }
            }
        }
        for (name, expression) in defaults { scope.set(name, try evaluate(expression, scope)) }
        if macro.usesCaller {
            let caller = named.firstIndex { $0.name == "caller" }.map { named.remove(at: $0).value }
            scope.set("caller", caller ?? .undefined("caller"))
        }
        let surplus = Array(arguments.positional.dropFirst(macro.parameters.count))
        guard surplus.isEmpty || macro.usesVarargs else {
            throw failure("macro '\(macro.name)' takes not more than \(macro.parameters.count) argument(s)")
        }
        if let extra = named.first, !macro.usesKwargs {
            throw failure("macro '\(macro.name)' takes no keyword argument '\(extra.name)'")
        }
        if macro.usesVarargs { scope.set("varargs", .tuple(JinjaList(surplus))) }
        if macro.usesKwargs {
            var dictionary = JinjaDictionary()
            for (name, value) in named { dictionary.set(name, value) }
            scope.set("kwargs", .dictionary(dictionary))
        }
    }
}

extension TemplateMacro {
    /// What `macro.name` and its kin are.
    fileprivate func member(_ attribute: String) -> JinjaValue? {
        switch attribute {
        case "name": .string(name)
        case "arguments": .tuple(JinjaList(parameters.map { .string($0.name) }))
        case "catch_kwargs": .bool(usesKwargs)
        case "catch_varargs": .bool(usesVarargs)
        case "caller": .bool(usesCaller)
        default: nil
        }
    }
}
