/// One extent of a shape: a number, or a whole multiple of a named symbol such as `4*M`.
package struct Dim: Sendable, Hashable, Codable {
    /// The number itself, or what the symbol is multiplied by; at least 0.
    package var factor: Int
    /// The symbol's name; nil for a fixed extent.
    package var symbol: String?

    package init(_ factor: Int, times symbol: String? = nil) {
        self.factor = factor
        self.symbol = symbol
    }

    /// A fixed extent.
    package static func fixed(_ value: Int) -> Dim { Dim(value) }

    /// A symbolic extent.
    package static func symbol(_ name: String) -> Dim { Dim(1, times: name) }

    /// The extent when it is a number.
    package var fixedValue: Int? { symbol == nil ? factor : nil }

    /// The extent once symbols have values; nil when the symbol has none or the product overflows.
    package func value(_ bindings: [String: Int]) -> Int? {
        guard let symbol else { return factor }
        guard let bound = bindings[symbol] else { return nil }
        let (product, overflow) = factor.multipliedReportingOverflow(by: bound)
        return overflow ? nil : product
    }
}

extension Dim: ExpressibleByIntegerLiteral, ExpressibleByStringLiteral, CustomStringConvertible {
    package init(integerLiteral value: Int) { self.init(value) }
    package init(stringLiteral name: String) { self.init(1, times: name) }

    package var description: String {
        guard let symbol else { return "\(factor)" }
        return factor == 1 ? symbol : "\(factor)*\(symbol)"
    }
}

/// The extents of a tensor, outermost first; rank 0 is a scalar.
package struct Shape: Sendable, Hashable, Codable, ExpressibleByArrayLiteral, CustomStringConvertible {
    package var dims: [Dim]

    package init(_ dims: [Dim]) { self.dims = dims }
    package init(arrayLiteral elements: Dim...) { dims = elements }

    package var rank: Int { dims.count }

    package subscript(axis: Int) -> Dim {
        get { dims[axis] }
        set { dims[axis] = newValue }
    }

    /// The extents as numbers; nil while a symbol is left.
    package var fixed: [Int]? {
        var values: [Int] = []
        for dim in dims {
            guard let value = dim.fixedValue else { return nil }
            values.append(value)
        }
        return values
    }

    /// The extents once symbols have values; nil when one has none.
    package func values(_ bindings: [String: Int]) -> [Int]? {
        var values: [Int] = []
        for dim in dims {
            guard let value = dim.value(bindings) else { return nil }
            values.append(value)
        }
        return values
    }

    /// The number of elements as `factor × product of symbols` (symbols sorted); equal for shapes that hold equally many.
    package var elementCount: (factor: Int, symbols: [String]) {
        (dims.reduce(1) { $0 * $1.factor }, dims.compactMap(\.symbol).sorted())
    }

    package var description: String { "[" + dims.map(\.description).joined(separator: ", ") + "]" }
}

/// Element type and shape of a value, printed as `bf16[T, 2048]`.
package struct TensorType: Sendable, Hashable, Codable, CustomStringConvertible {
    package var element: DType
    package var shape: Shape

    package init(_ element: DType, _ shape: Shape) {
        self.element = element
        self.shape = shape
    }

    package var description: String { "\(element.rawValue)\(shape)" }
}
