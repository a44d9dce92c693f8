/// A literal, as the parser reads it.
enum TemplateLiteral: Sendable {
    case none
    case bool(Bool)
    case int(Int)
    case float(Double)
    case string(String)
}

/// An expression and the line where it starts.
struct TemplateExpression: Sendable {
    var kind: Kind
    var line: Int
    /// Levels of expressions below and including this one; the parser bounds it.
    var depth: Int

    indirect enum Kind: Sendable {
        case literal(TemplateLiteral)
        case name(String)
        case list([TemplateExpression])
        case tuple([TemplateExpression])
        case dictionary([(key: TemplateExpression, value: TemplateExpression)])
        case attribute(TemplateExpression, String)
        case item(TemplateExpression, TemplateExpression)
        case slice(TemplateExpression, TemplateSlice)
        case call(TemplateExpression, TemplateArguments)
        case filter(TemplateExpression, TemplateFilter)
        case test(TemplateExpression, TemplateFilter)
        case not(TemplateExpression)
        case negative(TemplateExpression)
        case positive(TemplateExpression)
        /// Left-associative operations of one precedence.
        case arithmetic(TemplateExpression, [(ArithmeticOperator, TemplateExpression)])
        case concatenation([TemplateExpression])
        case comparison(TemplateExpression, [(ComparisonOperator, TemplateExpression)])
        case and([TemplateExpression])
        case or([TemplateExpression])
        case conditional(test: TemplateExpression, then: TemplateExpression, otherwise: TemplateExpression?)
    }
}

struct TemplateSlice: Sendable {
    var start: TemplateExpression?
    var stop: TemplateExpression?
    var step: TemplateExpression?
}

struct TemplateArguments: Sendable {
    var positional: [TemplateExpression] = []
    var named: [(name: String, value: TemplateExpression)] = []
    /// `*list` and `**dictionary`.
    var unpackedList: TemplateExpression?
    var unpackedDictionary: TemplateExpression?
}

/// A filter or test by name, with its arguments.
struct TemplateFilter: Sendable {
    var name: String
    var arguments: TemplateArguments
    var line: Int
}

enum ArithmeticOperator: Sendable {
    case add, subtract, multiply, divide, floorDivide, modulo, power

    var symbol: String {
        switch self {
        case .add: "+"
        case .subtract: "-"
        case .multiply: "*"
        case .divide: "/"
        case .floorDivide: "//"
        case .modulo: "%"
        case .power: "**"
        }
    }
}

enum ComparisonOperator: Sendable {
    case equal, notEqual, less, lessOrEqual, greater, greaterOrEqual, contained, notContained

    var symbol: String {
        switch self {
        case .equal: "=="
        case .notEqual: "!="
        case .less: "<"
        case .lessOrEqual: "<="
        case .greater: ">"
        case .greaterOrEqual: ">="
        case .contained: "in"
        case .notContained: "not in"
        }
    }
}

/// What an assignment writes to.
indirect enum TemplateTarget: Sendable {
    case name(String)
    case attribute(of: String, String)
    case tuple([TemplateTarget])
}

struct TemplateParameter: Sendable {
    var name: String
    var defaultValue: TemplateExpression?
}

struct TemplateMacro: Sendable {
    var name: String
    var parameters: [TemplateParameter]
    var body: [TemplateStatement]
    /// Whether the body mentions these names; a macro that does not refuses surplus arguments.
    var usesVarargs: Bool
    var usesKwargs: Bool
    var usesCaller: Bool
}

struct TemplateLoop: Sendable {
    var target: TemplateTarget
    var iterable: TemplateExpression
    var condition: TemplateExpression?
    var body: [TemplateStatement]
    var otherwise: [TemplateStatement]
    var isRecursive: Bool
}

struct TemplateStatement: Sendable {
    var kind: Kind
    var line: Int

    indirect enum Kind: Sendable {
        case text(String)
        case output(TemplateExpression)
        case condition([(test: TemplateExpression, body: [TemplateStatement])], otherwise: [TemplateStatement])
        case loop(TemplateLoop)
        case set(TemplateTarget, TemplateExpression)
        case setBlock(TemplateTarget, [TemplateFilter], [TemplateStatement])
        case with([(TemplateTarget, TemplateExpression)], [TemplateStatement])
        case filterBlock([TemplateFilter], [TemplateStatement])
        case macro(TemplateMacro)
        case callBlock(TemplateMacro, TemplateExpression, TemplateArguments)
        case scope([TemplateStatement])
        case leaveLoop
        case nextIteration
    }
}
