package import Tensors

/// An attribute's value outside its op: what the printer prints and the parser makes.
package enum AttributeValue: Sendable, Hashable {
    case int(Int)
    case float(Double)
    case bool(Bool)
    /// One word of a closed list, such as an activation.
    case word(String)
    /// A name with free spelling, printed after `@`.
    case name(String)
    /// Each after `@`.
    case names([String])
    case ints([Int])
    case floats([Double])
    case shape(Shape)
    case element(DType)
    case type(TensorType)
}

/// Which values an attribute takes; tells the parser what to read.
package enum AttributeKind: Sendable, Hashable {
    case int, float, bool, name, names, ints, floats, shape, element, type
    case word([String])

    /// How documents call the kind.
    package var title: String {
        switch self {
        case .int: "integer"
        case .float: "number"
        case .bool: "true or false"
        case .name: "name"
        case .names: "names"
        case .ints: "integers"
        case .floats: "numbers"
        case .shape: "shape"
        case .element: "element type"
        case .type: "type"
        case .word(let words): words.joined(separator: ", ")
        }
    }
}

/// A Swift type that attributes can have.
package protocol AttributeConvertible {
    static var attributeKind: AttributeKind { get }
    init?(_ value: AttributeValue)
    var attributeValue: AttributeValue { get }
}

/// Where text shows an attribute.
package enum AttributePlacement: Sendable, Hashable {
    /// `{name = value}` after the operands.
    case braces
    /// `@name` right after the op.
    case subject
    /// Nowhere: it is the type of the only result.
    case resultType
}

/// One attribute of the op type `O`.
package struct Attribute<O: Op>: Sendable {
    let erased: AnyAttribute

    /// - Parameter isOptional: whether text leaves the attribute out when it is the default; flags and words it always does.
    package init<V: AttributeConvertible & Sendable>(
        _ name: String, _ path: any WritableKeyPath<O, V> & Sendable, in placement: AttributePlacement = .braces,
        isOptional: Bool = false
    ) {
        erased = AnyAttribute(
            name: name, kind: V.attributeKind, placement: placement, isOptional: isOptional,
            read: { ($0 as? O).map { $0[keyPath: path].attributeValue } ?? .bool(false) },
            write: { op, value in
                guard var typed = op as? O, let converted = V(value) else { return false }
                typed[keyPath: path] = converted
                op = typed
                return true
            })
    }
}

/// One attribute of some op.
package struct AnyAttribute: Sendable {
    package let name: String
    package let kind: AttributeKind
    package let placement: AttributePlacement
    let isOptional: Bool
    let read: @Sendable (any Op) -> AttributeValue
    let write: @Sendable (inout any Op, AttributeValue) -> Bool

    /// Whether text leaves the attribute out when it is the default: flags, words, and numbers that say so.
    package var mayBeOmitted: Bool {
        switch kind {
        case .bool, .word: true
        default: isOptional
        }
    }
}

extension Int: AttributeConvertible {
    package static var attributeKind: AttributeKind { .int }
    package init?(_ value: AttributeValue) {
        guard case .int(let number) = value else { return nil }
        self = number
    }
    package var attributeValue: AttributeValue { .int(self) }
}

extension Double: AttributeConvertible {
    package static var attributeKind: AttributeKind { .float }
    package init?(_ value: AttributeValue) {
        guard case .float(let number) = value else { return nil }
        self = number
    }
    package var attributeValue: AttributeValue { .float(self) }
}

extension Bool: AttributeConvertible {
    package static var attributeKind: AttributeKind { .bool }
    package init?(_ value: AttributeValue) {
        guard case .bool(let flag) = value else { return nil }
        self = flag
    }
    package var attributeValue: AttributeValue { .bool(self) }
}

extension String: AttributeConvertible {
    package static var attributeKind: AttributeKind { .name }
    package init?(_ value: AttributeValue) {
        guard case .name(let name) = value else { return nil }
        self = name
    }
    package var attributeValue: AttributeValue { .name(self) }
}

extension Shape: AttributeConvertible {
    package static var attributeKind: AttributeKind { .shape }
    package init?(_ value: AttributeValue) {
        guard case .shape(let shape) = value else { return nil }
        self = shape
    }
    package var attributeValue: AttributeValue { .shape(self) }
}

extension DType: AttributeConvertible {
    package static var attributeKind: AttributeKind { .element }
    package init?(_ value: AttributeValue) {
        guard case .element(let element) = value else { return nil }
        self = element
    }
    package var attributeValue: AttributeValue { .element(self) }
}

extension TensorType: AttributeConvertible {
    package static var attributeKind: AttributeKind { .type }
    package init?(_ value: AttributeValue) {
        guard case .type(let type) = value else { return nil }
        self = type
    }
    package var attributeValue: AttributeValue { .type(self) }
}

/// A type that attributes can hold lists of.
package protocol AttributeListElement {
    static var listKind: AttributeKind { get }
    static func list(_ value: AttributeValue) -> [Self]?
    static func attributeValue(_ list: [Self]) -> AttributeValue
}

extension Int: AttributeListElement {
    package static var listKind: AttributeKind { .ints }
    package static func list(_ value: AttributeValue) -> [Int]? {
        guard case .ints(let list) = value else { return nil }
        return list
    }
    package static func attributeValue(_ list: [Int]) -> AttributeValue { .ints(list) }
}

extension Double: AttributeListElement {
    package static var listKind: AttributeKind { .floats }
    package static func list(_ value: AttributeValue) -> [Double]? {
        guard case .floats(let list) = value else { return nil }
        return list
    }
    package static func attributeValue(_ list: [Double]) -> AttributeValue { .floats(list) }
}

extension String: AttributeListElement {
    package static var listKind: AttributeKind { .names }
    package static func list(_ value: AttributeValue) -> [String]? {
        guard case .names(let list) = value else { return nil }
        return list
    }
    package static func attributeValue(_ list: [String]) -> AttributeValue { .names(list) }
}

extension Array: AttributeConvertible where Element: AttributeListElement {
    package static var attributeKind: AttributeKind { Element.listKind }
    package init?(_ value: AttributeValue) {
        guard let list = Element.list(value) else { return nil }
        self = list
    }
    package var attributeValue: AttributeValue { Element.attributeValue(self) }
}
