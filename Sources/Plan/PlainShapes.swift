package import Tensors

extension PlainKernel {
    /// Why operands and results of these types do not belong to one call; nil when the kernel stays within their extents, whatever
    /// values the symbols have.
    package func contradiction(_ inputs: [TensorType], _ outputs: [TensorType]) -> String? {
        let isCounted = op == .concat ? !inputs.isEmpty : inputs.count == op.operandNames.count
        guard isCounted, let y = outputs.first?.shape, outputs.allSatisfy({ $0.shape == y }),
            (inputs + outputs).allSatisfy({ $0.shape.rank <= Self.maximumRank }), fits(inputs.map(\.shape), y)
        else { return "\(Self.list(outputs)) is not \(op.rawValue) of \(Self.list(inputs))" }
        guard elementsFit(inputs.map(\.element), outputs.map(\.element)) else {
            return "\(op.rawValue) does not take the elements of \(Self.list(inputs)) to those of \(Self.list(outputs))"
        }
        return nil
    }

    /// Axes that a tensor may have; one less than the kernels walk over, for what they split.
    package static let maximumRank = 8

    private static func list(_ types: [TensorType]) -> String { types.map(\.description).joined(separator: ", ") }

    private func elementsFit(_ inputs: [DType], _ outputs: [DType]) -> Bool {
        guard (inputs + outputs).allSatisfy(\.hasPlainKernel) else { return false }
        switch op {
        case .cast: return true
        case .choose: return inputs[0] == .bool && inputs[1] == inputs[2] && outputs == [inputs[1]]
        case .add, .sub, .mul, .div, .maximum, .minimum: return Set(inputs + outputs).count == 1 && inputs[0] != .bool
        case .concat, .copy, .reshape, .transpose, .slice, .expand, .repeats: return Set(inputs + outputs).count == 1
        case .argmax: return inputs[0].isFloat && outputs == [.i32]
        case .topK: return inputs[0].isFloat && outputs == [inputs[0], .i32]
        case .matmul: return Set(inputs + outputs) == [.f32]
        case .gather: return inputs[1] == .i32 && outputs == [inputs[0]]
        case .selectRows: return inputs[2] == .i32 && inputs[0] == inputs[1] && outputs == [inputs[0]]
        case .neg, .square, .sqrt, .rsqrt, .exp, .log, .cos, .sin, .sigmoid, .tanh, .erf, .softplus, .reciprocal, .sum, .mean, .max, .softmax,
            .cumsum:
            return inputs[0].isFloat && outputs == [inputs[0]]
        }
    }

    /// Whether `y` is the result's shape for operands of these.
    private func fits(_ shapes: [Shape], _ y: Shape) -> Bool {
        let x = shapes[0]
        switch self {
        case .map: return shapes.dropFirst().reduce(Optional(x)) { $0?.broadcast(with: $1) } == y
        case .copy: return x.elementCount == y.elementCount
        case .expand: return x.broadcast(with: y) == y
        case .transpose(let order): return order.sorted() == Array(0..<x.rank) && Shape(order.map { x[$0] }) == y
        case .slice(let axis, let start):
            guard y.rank == x.rank, x.dims.indices.contains(axis), let extent = x[axis].fixedValue, let count = y[axis].fixedValue else {
                return false
            }
            return start >= 0 && start <= extent && count <= extent - start && y.hasExtents(of: x, besides: axis)
        case .concat(let axis):
            guard x.dims.indices.contains(axis), shapes.allSatisfy({ $0.hasExtents(of: y, besides: axis) }) else { return false }
            return shapes.dropFirst().reduce(Optional(x[axis])) { $0?.sum(with: $1[axis]) } == y[axis]
        case .repeats(let axis, let count):
            guard x.dims.indices.contains(axis), (1...1 << 20).contains(count), y.hasExtents(of: x, besides: axis) else { return false }
            return y[axis] == Dim(x[axis].factor * count, times: x[axis].symbol)
        case .along(let op, let axis):
            guard x.dims.indices.contains(axis), y.hasExtents(of: x, besides: axis) else { return false }
            switch op {
            case .softmax, .cumsum: return y[axis] == x[axis]
            case .topK: return (y[axis].fixedValue ?? .max) <= (x[axis].fixedValue ?? 0)
            default: return y[axis] == 1
            }
        case .matmul(let transposesB): return isProduct(x, shapes[1], transposesB, y)
        case .gather: return x.rank >= 1 && y.dims == shapes[1].dims + x.dims.dropFirst()
        case .selectRows: return x.rank == 2 && y == x && shapes[1].rank == 2 && shapes[1][1] == x[1] && shapes[2].dims == [x[0]]
        }
    }

    private func isProduct(_ a: Shape, _ b: Shape, _ transposesB: Bool, _ y: Shape) -> Bool {
        guard a.rank >= 2, b.rank >= 2 else { return false }
        let (rows, inner) = (a[a.rank - 2], a[a.rank - 1])
        let (second, last) = (b[b.rank - 2], b[b.rank - 1])
        let batch = Shape(a.dims.dropLast(2)).broadcast(with: Shape(b.dims.dropLast(2)))
        return inner == (transposesB ? last : second) && batch.map { $0.dims + [rows, transposesB ? second : last] } == y.dims
    }
}

extension DType {
    /// Whether plain kernels read and write it.
    package var hasPlainKernel: Bool { self != .f64 && self != .i64 }
}

extension Dim {
    /// The sum where it is a multiple of one symbol.
    fileprivate func sum(with other: Dim) -> Dim? {
        if factor == 0 && symbol == nil { return other }
        if other.factor == 0 && other.symbol == nil { return self }
        return symbol == other.symbol ? Dim(factor + other.factor, times: symbol) : nil
    }
}

extension Shape {
    /// numpy's rule: shapes align at the last axis, and an extent of 1 stretches; nil when they do not.
    fileprivate func broadcast(with other: Shape) -> Shape? {
        let rank = Swift.max(self.rank, other.rank)
        var dims: [Dim] = []
        for axis in 0..<rank {
            let left = axis >= rank - self.rank ? self[axis - (rank - self.rank)] : 1
            let right = axis >= rank - other.rank ? other[axis - (rank - other.rank)] : 1
            guard left == right || left == 1 || right == 1 else { return nil }
            dims.append(left == 1 ? right : left)
        }
        return Shape(dims)
    }

    fileprivate func hasExtents(of other: Shape, besides axis: Int) -> Bool {
        rank == other.rank && dims.indices.allSatisfy { $0 == axis || self[$0] == other[$0] }
    }
}
