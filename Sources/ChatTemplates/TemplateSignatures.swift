/// How many arguments Jinja's filters and Python's text methods take, and under which names.
enum TemplateSignatures {
    /// Methods of texts that compare many bytes in one step; the others look at them one by one.
    static let comparingMethods: Set<String> = ["startswith", "endswith", "removeprefix", "removesuffix"]

    /// What filters take besides their input; the first `required` must be given.
    static let filters: [String: (required: Int, names: [String])] = [
        "abs": (0, []), "attr": (1, ["name"]), "batch": (1, ["linecount", "fill_with"]), "capitalize": (0, []),
        "center": (0, ["width"]), "count": (0, []), "d": (0, ["default_value", "boolean"]),
        "default": (0, ["default_value", "boolean"]), "dictsort": (0, ["case_sensitive", "by", "reverse"]), "e": (0, []),
        "escape": (0, []), "filesizeformat": (0, ["binary"]), "first": (0, []), "float": (0, ["default"]),
        "forceescape": (0, []), "groupby": (1, ["attribute", "default", "case_sensitive"]),
        "indent": (0, ["width", "first", "blank"]), "int": (0, ["default", "base"]), "items": (0, []),
        "join": (0, ["d", "attribute"]), "last": (0, []), "length": (0, []), "list": (0, []), "lower": (0, []),
        "max": (0, ["case_sensitive", "attribute"]), "min": (0, ["case_sensitive", "attribute"]), "pprint": (0, []),
        "replace": (2, ["old", "new", "count"]), "reverse": (0, []), "round": (0, ["precision", "method"]), "safe": (0, []),
        "slice": (1, ["slices", "fill_with"]), "sort": (0, ["reverse", "case_sensitive", "attribute"]), "string": (0, []),
        "striptags": (0, []), "sum": (0, ["attribute", "start"]), "title": (0, []),
        "tojson": (0, ["ensure_ascii", "indent", "separators", "sort_keys"]), "trim": (0, ["chars"]),
        "truncate": (0, ["length", "killwords", "end", "leeway"]), "unique": (0, ["case_sensitive", "attribute"]),
        "upper": (0, []), "urlencode": (0, []), "wordcount": (0, []),
        "wordwrap": (0, ["width", "break_long_words", "wrapstring", "break_on_hyphens"]), "xmlattr": (0, ["autospace"]),
    ]

    /// Filters that pass arguments on.
    static let variadicFilters: Set<String> = ["format", "map", "reject", "rejectattr", "select", "selectattr"]

    /// How many arguments the methods of `str` take.
    static let textMethods: [String: ClosedRange<Int>] = [
        "capitalize": 0...0, "casefold": 0...0, "center": 1...2, "count": 1...3, "endswith": 1...3, "expandtabs": 0...1,
        "find": 1...3, "format": 0...1000, "format_map": 1...1, "index": 1...3, "isalnum": 0...0, "isalpha": 0...0,
        "isascii": 0...0, "isdecimal": 0...0, "isdigit": 0...0, "isidentifier": 0...0, "islower": 0...0, "isnumeric": 0...0,
        "isprintable": 0...0, "isspace": 0...0, "istitle": 0...0, "isupper": 0...0, "join": 1...1, "ljust": 1...2,
        "lower": 0...0, "lstrip": 0...1, "partition": 1...1, "removeprefix": 1...1, "removesuffix": 1...1, "replace": 2...3,
        "rfind": 1...3, "rindex": 1...3, "rjust": 1...2, "rpartition": 1...1, "rsplit": 0...2, "rstrip": 0...1, "split": 0...2,
        "splitlines": 0...1, "startswith": 1...3, "strip": 0...1, "swapcase": 0...0, "title": 0...0, "upper": 0...0,
        "zfill": 1...1,
    ]

    private static let methodsWithKeywords: Set<String> = ["expandtabs", "format", "replace", "rsplit", "split", "splitlines"]

    /// Why a filter does not take these arguments, or nil when it does.
    static func objection(toFilter name: String, _ arguments: JinjaArguments) -> String? {
        guard let signature = filters[name] else { return nil }
        if arguments.positional.count > signature.names.count {
            return "the filter '\(name)' takes at most \(signature.names.count) arguments, not \(arguments.positional.count)"
        }
        let open = signature.names.dropFirst(arguments.positional.count)
        if let stray = arguments.named.first(where: { !open.contains($0.name) }) {
            return "the filter '\(name)' takes no further argument '\(stray.name)'"
        }
        let missing = signature.names.prefix(signature.required).dropFirst(arguments.positional.count).first { wanted in
            !arguments.named.contains { $0.name == wanted }
        }
        return missing.map { "the filter '\(name)' needs the argument '\($0)'" }
    }

    /// The one argument of the tests that take one, by the names that it has.
    private static let testArguments: [String: Set<String>] = [
        "divisibleby": ["num"], "sameas": ["other"], "in": ["seq"], "==": [], "eq": [], "equalto": [], "!=": [], "ne": [], ">": [],
        "gt": [], "greaterthan": [], ">=": [], "ge": [], "<": [], "lt": [], "lessthan": [], "<=": [], "le": [],
    ]

    /// Why a test does not take these arguments, or nil when it does.
    static func objection(toTest name: String, _ arguments: JinjaArguments) -> String? {
        guard TemplateEvaluator.testNames.contains(name) else { return nil }
        let names = testArguments[name]
        if let stray = arguments.named.first(where: { !(names?.contains($0.name) ?? false) }) {
            return "the test '\(name)' takes no argument '\(stray.name)'"
        }
        let count = arguments.positional.count + arguments.named.count
        if names != nil, count == 0 { return "the test '\(name)' needs an argument" }
        return count > (names == nil ? 0 : 1) ? "the test '\(name)' does not take \(count) arguments" : nil
    }

    /// Why a method of `str` does not take these arguments, or nil when it does.
    static func objection(toMethod name: String, _ arguments: JinjaArguments) -> String? {
        guard let counts = textMethods[name], name != "format" else { return nil }
        if !arguments.named.isEmpty, !methodsWithKeywords.contains(name) { return "str.\(name)() takes no keyword arguments" }
        let count = arguments.positional.count + arguments.named.count
        return counts.contains(count) ? nil : "str.\(name)() does not take \(count) arguments"
    }
}
