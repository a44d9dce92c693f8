package import Tensors

/// An operation on tensors, defined once: the stored properties are its attributes, and its schema drives parser,
/// printer, equality for common subexpressions, the builder's checks and the documentation.
package protocol Op: Sendable, Hashable {
    static var schema: OpSchema { get }

    /// The result types for operand types whose number fits the schema.
    func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType]

    /// The one spelling of attributes that can be written in several ways, such as a negative axis.
    func normalized(for operands: [TensorType]) -> Self

    /// For each result that is a state with something stored in it, the operand that the state was before; nil for other results, and
    /// no entries where there is no such result.
    var updates: [Int?] { get }

    /// Floating-point operations for these types; `count` gives the elements of a shape.
    func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double
}

extension Op {
    package func normalized(for operands: [TensorType]) -> Self { self }

    package var updates: [Int?] { [] }

    /// The operand that a result is, with something stored in it; nil for a result that is new.
    package func updatedOperand(ofResult position: Int) -> Int? { position < updates.count ? updates[position] : nil }

    /// Whether a result is a state with something stored in it.
    package var storesState: Bool { updates.contains { $0 != nil } }

    /// One operation per element of the results.
    package func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double {
        results.reduce(0) { $0 + count($1.shape) }
    }

    package var schema: OpSchema { Self.schema }

    /// The op's name in text.
    package var mnemonic: String { Self.schema.name }

    /// The attributes in the order of the schema.
    package var attributeValues: [(name: String, value: AttributeValue)] {
        Self.schema.attributes.map { ($0.name, $0.read(self)) }
    }

    /// The names of the operands that this op takes: the required ones, then the optional ones that it says are present.
    package var operandNames: [String] { Self.schema.operands.filter { $0.isPresent(self) }.map(\.name) }

    package func equals(_ other: any Op) -> Bool { (other as? Self) == self }

    /// Checks the operands against the schema, infers the result types and checks their size.
    package func check(_ operands: [TensorType], origin: String = "") throws(TypeError) -> [TensorType] {
        do {
            try Self.schema.checkCount(operands.count, self)
            let results = try infer(operands)
            for type in results { try type.checkLimits() }
            return results
        } catch {
            throw TypeError(error.reason, op: mnemonic, origin: error.origin.isEmpty ? origin : error.origin)
        }
    }
}

extension TensorType {
    package static let maximumRank = 8
    package static let maximumExtent = 1 << 40

    /// Rank and extents in range, and an element count that a 64-bit integer holds.
    func checkLimits() throws(TypeError) {
        guard shape.rank <= Self.maximumRank else { throw TypeError("rank \(shape.rank) is above \(Self.maximumRank)") }
        for dim in shape.dims where dim.factor < 0 || dim.factor > Self.maximumExtent || (dim.factor == 0 && dim.symbol != nil) {
            throw TypeError("extent \(dim) is not in range")
        }
        guard shape.checkedElementCount != nil else { throw TypeError("\(self) has too many elements") }
    }
}

extension Shape {
    /// The element count as a number times symbols; nil when the number overflows.
    package var checkedElementCount: (factor: Int, symbols: [String])? {
        var factor = 1
        for dim in dims {
            let (product, overflow) = factor.multipliedReportingOverflow(by: dim.factor)
            guard !overflow else { return nil }
            factor = product
        }
        return (factor, dims.compactMap(\.symbol).sorted())
    }
}
