import Budgets
import ChatTemplates
import Inputs
import JSON
import Seeded

extension FuzzTarget {
    /// Chat templates: one that parses renders, refuses or ends with its budget, twice the same.
    static let template = FuzzTarget("template", secondsMax: 8) { dice, corpus in
        let template = dice.pick(corpus) ?? []
        guard !dice.once(in: 3) else { return ByteMutation.apply(template, &dice, corpus: corpus, words: templateWords) }
        var grammar = TemplateGrammar(dice: dice)
        let text = grammar.block(3)
        dice = grammar.dice
        let place = dice.once(in: 2) ? 0 : template.count
        return dice.once(in: 2) ? Array(text.utf8) : Array(template[..<place]) + Array(text.utf8) + Array(template[place...])
    } check: { input in
        guard let template = try? ChatTemplate(source: String(decoding: input, as: UTF8.self)) else { return }
        func render() -> Result<String, ChatTemplateError> {
            let budget = WorkBudget(cpuLimit: .seconds(3))
            return Result { () throws(ChatTemplateError) in
                try template.render(conversation, now: 0, budget: budget)
            }
        }
        let first = render()
        guard case .success(let text) = first else { return }
        guard text.utf8.count <= 64 << 20 else { throw Finding("renders \(text.utf8.count) bytes") }
        guard case .success(let again) = render(), again == text else { throw Finding("renders otherwise the second time") }
    }

    private static let conversation: JSONObject = {
        var context = JSONObject()
        context["messages"] = [
            ["role": "system", "content": "Be brief."],
            ["role": "user", "content": [["type": "image"], ["type": "text", "text": "What é 👩‍👩‍👧?"]], "name": "me"],
            ["role": "assistant", "content": "", "tool_calls": [["function": ["name": "f", "arguments": ["a": 1]]]]],
            ["role": "tool", "content": "1.5"],
        ]
        context["tools"] = .null
        context["add_generation_prompt"] = true
        context["bos_token"] = "<s>"
        context["n"] = 3
        context["x"] = [1, 2.5, "b", .null, [1, [2]], ["k": "v"]]
        return context
    }()

    static let templateWords = [
        "{{", "}}", "{%", "%}", "{%-", "-%}", "{#", "#}", "{% for m in messages %}", "{% endfor %}", "{% if ", "{% else %}", "{% endif %}",
        "{% set ns = namespace(a=1) %}", "{% macro f(a, b=1) %}", "{% endmacro %}", "{% break %}", "{% raw %}", "{% endraw %}", "|", "(", ")",
        "[", "]", "[::-1]", "~", "**", "//", "%", " in ", " is ", " not ", "'", "\"", "loop.index", "recursive", "self", "none",
    ] + TemplateGrammar.filters + TemplateGrammar.methods
}

/// Makes templates that mostly parse.
private struct TemplateGrammar {
    var dice: Dice
    private var steps = 200

    static let filters = [
        "tojson", "tojson(indent=2)", "length", "trim", "upper", "title", "join(',')", "join", "list", "sort", "sort(reverse=true)", "unique",
        "groupby('role')", "map(attribute='role')", "map('upper')", "select('string')", "rejectattr('role', 'eq', 'user')", "batch(2)",
        "slice(3)", "replace('a', 'bb')", "replace('', 'x')", "indent(4)", "wordwrap(5)", "center(40)", "truncate(5)", "default(1)", "int",
        "float", "string", "first", "last", "sum", "max", "min", "reverse", "round(2)", "abs", "items", "dictsort", "pprint", "escape",
        "urlencode", "wordcount", "format(1, 2)", "attr('x')", "filesizeformat", "xmlattr", "striptags",
    ]
    static let methods = [
        ".split()", ".split('a', 1)", ".strip()", ".find('a')", ".count('')", ".items()", ".keys()", ".get('role')", ".upper()", ".title()",
        ".startswith('a')", ".replace('a', 'b')", ".join(['a', 'b'])", ".format(1, a=2)", ".append(1)", ".pop()", ".update({})",
        ".splitlines()", ".zfill(9)", ".rjust(20)", ".encode()", ".index(1)", "[0]", "[-1]", "[1:]", "[::-1]", "['role']", ".role", ".a.b",
    ]
    private static let atoms = [
        "messages", "x", "n", "tools", "bos_token", "m", "loop", "loop.index0", "ns.a", "undefined_name", "0", "1", "-1", "7", "1e3", "10**9",
        "'a'", "'%s %d'", "'é'", "\"\"", "[]", "{}", "true", "none", "range(5)", "range(100000)", "range(10**9)", "dict(a=1)", "namespace(a=1)",
        "cycler('a', 'b')", "joiner(',')", "lipsum()", "strftime_now('%Y')", "messages[0]", "messages[1].content",
    ]
    private static let operators = [
        "+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", ">=", "in", "not in", "and", "or", "is", "if 1 else",
    ]
    private static let tests = ["defined", "none", "string", "mapping", "iterable", "sequence", "number", "odd", "divisibleby(3)", "eq(1)"]

    init(dice: Dice) { self.dice = dice }

    mutating func block(_ depth: Int) -> String {
        var text = ""
        for _ in 0...dice.below(3) { text += statement(depth) }
        return text
    }

    private mutating func statement(_ depth: Int) -> String {
        steps -= 1
        guard depth > 0, steps > 0 else { return "{{ \(expression(2)) }}" }
        switch dice.below(8) {
        case 0: return "{% for m in \(expression(depth)) %}\(block(depth - 1)){% else %}e{% endfor %}"
        case 1: return "{%- if \(expression(depth)) -%}\(block(depth - 1)){% elif n %}{% else %}\(block(depth - 1)){% endif %}"
        case 2: return "{% set \(dice.pick(["m", "x", "ns", "n"]) ?? "m") = \(expression(depth)) %}"
        case 3: return "{% set m %}\(block(depth - 1)){% endset %}"
        case 4: return "{% macro f(a, b=\(expression(1))) %}{{ a }}\(block(depth - 1)){% endmacro %}{{ f(\(expression(1))) }}"
        case 5: return "{% set ns = namespace(a=\(expression(1))) %}{% for m in x %}{% set ns.a = \(expression(depth)) %}{% endfor %}{{ ns.a }}"
        case 6: return "{% set x = [x, x] %}"
        default: return "{{ \(expression(depth)) }}"
        }
    }

    private mutating func expression(_ depth: Int) -> String {
        steps -= 1
        let atom = dice.pick(Self.atoms) ?? "n"
        guard depth > 0, steps > 0 else { return atom }
        switch dice.below(9) {
        case 0: return "(\(expression(depth - 1)) \(dice.pick(Self.operators) ?? "+") \(expression(depth - 1)))"
        case 1, 2: return "\(expression(depth - 1))\(dice.pick(Self.methods) ?? "")"
        case 3, 4: return "(\(expression(depth - 1)))|\(dice.pick(Self.filters) ?? "list")"
        case 5: return "[\(expression(depth - 1)), \(expression(depth - 1))]"
        case 6: return "(\(expression(depth - 1)) is \(dice.pick(Self.tests) ?? "none"))"
        case 7: return "{'a': \(expression(depth - 1)), \(expression(0)): 1}"
        default: return atom
        }
    }
}
