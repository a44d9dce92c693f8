import IR
import Reference
import Seeded
import Tensors

/// Plain ops wired at random over symbols `T` and `N`, values kept near 1.
struct RandomPlainGraph {
    private var random: Dice

    init(seed: UInt64) { random = Dice(seed) }

    mutating func make() throws -> (PlainGraph, [String: Tensor]) {
        let shapes: [Shape] = [["T", 4], ["T", 2, 4], ["N", "T"], [3, "N", 2]]
        var random = random
        let graph = try PlainGraph { b in
            var values = shapes.enumerated().map { b.input("x\($0.offset)", TensorType(.f32, $0.element)) }
            for _ in 0..<14 {
                let x = values.randomElement(using: &random) ?? values[0]
                if let made = Self.grow(b, x, values, &random) { values.append(made) }
            }
            return Array(values.dropFirst(shapes.count).suffix(3))
        }
        self.random = random
        var inputs: [String: Tensor] = [:]
        for (index, shape) in shapes.enumerated() {
            let extents = shape.values(PlainGraph.values) ?? []
            let numbers = (0..<extents.reduce(1, *)).map { _ in Float.random(in: -1...1, using: &self.random) }
            inputs["x\(index)"] = Tensor(numbers, extents)
        }
        return (graph, inputs)
    }

    private static func grow(_ b: GraphBuilder, _ x: Value, _ values: [Value], _ random: inout Dice) -> Value? {
        let shape = x.type.shape
        let axis = Int.random(in: 0..<shape.rank, using: &random)
        let equal = values.filter { $0.type == x.type }.randomElement(using: &random) ?? x
        switch Int.random(in: 0..<15, using: &random) {
        case 0: return b.tanh(b.add(x, equal))
        case 1: return b.sigmoid(b.mul(x, b.sum(equal, axis: axis)))
        case 2: return b.sub(b.literal(0.5), b.maximum(x, equal))
        case 3: return b.transpose(x, Array(0..<shape.rank).shuffled(using: &random))
        case 4:
            guard let extent = shape[axis].fixedValue, extent > 1 else { return nil }
            let start = Int.random(in: 0..<extent - 1, using: &random)
            return b.slice(x, axis: axis, start..<Int.random(in: start + 1...extent, using: &random))
        case 5:
            let flat = shape.elementCount
            guard flat.symbols.count == 1, let symbol = flat.symbols.first else { return nil }
            return Bool.random(using: &random)
                ? b.reshape(x, [.symbol(symbol), .fixed(flat.factor)]) : b.reshape(x, [Dim(flat.factor, times: symbol)])
        case 6: return b.concat([x, equal, x], axis: axis)
        case 7: return b.expand(b.mean(x, axis: axis), shape)
        case 8: return shape.elementCount.factor < 200 ? b.repeat(x, axis: axis, count: 2) : nil
        case 9: return b.softmax(x, axis: axis)
        case 10: return b.tanh(b.cumulativeSum(x, axis: axis))
        case 11: return shape.rank >= 2 ? b.tanh(b.matmul(x, equal, transposeB: true)) : nil
        case 12: return b.where(b.cast(b.maximum(x, b.literal(0)), to: .bool), equal, b.cos(x))
        case 13:
            guard let extent = shape[axis].fixedValue, extent > 1 else { return nil }
            let rows = (0..<3).map { _ in Double(Int.random(in: 0..<extent, using: &random)) }
            var order = Array(0..<shape.rank)
            order.swapAt(0, axis)
            return b.gather(b.transpose(x, order), b.one(Constant(rows, TensorType(.i32, [3]))))
        default:
            let weight = b.literal(0.75, TensorType(.f32, [shape[shape.rank - 1]]))
            return shape[shape.rank - 1].fixedValue == nil ? nil : b.add(b.mul(x, b.rsqrt(b.add(b.mean(b.square(x)), b.literal(1e-6)))), weight)
        }
    }
}
