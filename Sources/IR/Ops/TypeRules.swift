internal import Tensors

/// The questions that `infer` asks; each throws the reason when the answer is no.
enum TypeRules {
    static func axis(_ axis: Int, of type: TensorType) throws(TypeError) -> Int {
        let index = axis < 0 ? axis + type.shape.rank : axis
        guard type.shape.dims.indices.contains(index) else { throw TypeError("axis \(axis) is not in \(type)") }
        return index
    }

    static func float(_ type: TensorType, _ name: String) throws(TypeError) {
        guard type.element.isFloat else { throw TypeError("\(name) holds \(type.element.rawValue), not real numbers") }
    }

    static func element(_ type: TensorType, _ element: DType, _ name: String) throws(TypeError) {
        guard type.element == element else {
            throw TypeError("\(name) holds \(type.element.rawValue), not \(element.rawValue)")
        }
    }

    static func rank(_ type: TensorType, _ rank: Int, _ name: String) throws(TypeError) {
        guard type.shape.rank == rank else { throw TypeError("\(name) is \(type), not of rank \(rank)") }
    }

    static func minimumRank(_ type: TensorType, _ rank: Int, _ name: String) throws(TypeError) {
        guard type.shape.rank >= rank else { throw TypeError("\(name) is \(type), not of rank \(rank) or more") }
    }

    static func shape(_ type: TensorType, _ shape: Shape, _ name: String) throws(TypeError) {
        guard type.shape == shape else { throw TypeError("\(name) is \(type), not of shape \(shape)") }
    }

    static func same(_ a: Dim, _ b: Dim, _ fact: String) throws(TypeError) {
        guard a == b else { throw TypeError("\(fact): \(a) is not \(b)") }
    }

    /// numpy's rule: shapes align at the last axis, and an extent of 1 stretches.
    static func broadcast(_ a: Shape, _ b: Shape) throws(TypeError) -> Shape {
        let rank = max(a.rank, b.rank)
        var dims: [Dim] = []
        for axis in 0..<rank {
            let left = axis >= rank - a.rank ? a[axis - (rank - a.rank)] : 1
            let right = axis >= rank - b.rank ? b[axis - (rank - b.rank)] : 1
            if left == right || right == 1 {
                dims.append(left)
            } else if left == 1 {
                dims.append(right)
            } else {
                throw TypeError("shapes \(a) and \(b) do not broadcast")
            }
        }
        return Shape(dims)
    }

    static func sum(_ a: Dim, _ b: Dim) throws(TypeError) -> Dim {
        if a.factor == 0 && a.symbol == nil { return b }
        if b.factor == 0 && b.symbol == nil { return a }
        let (factor, overflow) = a.factor.addingReportingOverflow(b.factor)
        guard a.symbol == b.symbol, !overflow else { throw TypeError("extents \(a) and \(b) have no sum with one symbol") }
        return Dim(factor, times: a.symbol)
    }

    static func product(_ a: Dim, _ count: Int) throws(TypeError) -> Dim {
        let (factor, overflow) = a.factor.multipliedReportingOverflow(by: count)
        guard !overflow else { throw TypeError("extent \(a) × \(count) overflows") }
        return Dim(factor, times: a.symbol)
    }
}

extension Shape {
    /// The shape with one extent replaced; the axis must be in range.
    func replacing(_ axis: Int, with dim: Dim) -> Shape {
        var copy = self
        copy[axis] = dim
        return copy
    }

    /// A negative axis counted from the start; axes out of range stay, for `infer` to refuse.
    func normalizedAxis(_ axis: Int) -> Int { axis < 0 && axis + rank >= 0 ? axis + rank : axis }
}
