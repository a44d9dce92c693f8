import Foundation
import IR
import Reference
import Tensors
import Testing

/// One op on tensors, through a graph of its own.
func evaluate(_ op: any Op, _ operands: Tensor...) throws -> [Tensor] {
    let builder = ModuleBuilder()
    try builder.graph("g") { b in b.write(op, operands.enumerated().map { b.input("x\($0.offset)", $0.element.type) }) }
    let inputs = Dictionary(operands.enumerated().map { ("x\($0.offset)", $0.element) }) { first, _ in first }
    return try Evaluator().run(builder.finish().graphs[0], inputs: inputs).results
}

/// A graph written with the builder, on tensors that become its inputs `x0`, `x1`, ….
func evaluate(_ operands: [Tensor], _ body: (GraphBuilder, [Value]) -> [Value]) throws -> [Tensor] {
    let builder = ModuleBuilder()
    try builder.graph("g") { b in body(b, operands.enumerated().map { b.input("x\($0.offset)", $0.element.type) }) }
    let inputs = Dictionary(operands.enumerated().map { ("x\($0.offset)", $0.element) }) { first, _ in first }
    return try Evaluator().run(builder.finish().graphs[0], inputs: inputs).results
}

func vector(_ values: Float...) -> Tensor { Tensor(values, [values.count]) }

func matrix(_ rows: [Float]...) -> Tensor { Tensor(rows.flatMap { $0 }, [rows.count, rows.first?.count ?? 0]) }

func indices(_ values: Int32...) -> Tensor { Tensor(ints: values, [values.count]) }

/// Numbers between −1 and 1, the same for the same seed.
func noise(_ shape: [Int], seed: UInt64, _ element: DType = .f32) -> Tensor {
    var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
    let values = (0..<shape.reduce(1, *)).map { _ in
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return Float(Int64(bitPattern: state) >> 40) / Float(1 << 23)
    }
    return Tensor(values, shape, element)
}

/// The largest difference between two tensors of one type; infinite when the types differ.
func distance(_ a: Tensor, _ b: Tensor) -> Float {
    guard a.type == b.type else { return .infinity }
    return zip(a.floats, b.floats).reduce(0) { largest, pair in
        pair.0 == pair.1 ? largest : max(largest, (pair.0 - pair.1).isNaN ? .infinity : abs(pair.0 - pair.1))
    }
}

enum Fixture {
    static func text(_ path: String) throws -> String {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../" + path)
        return try String(contentsOf: file, encoding: .utf8)
    }
}
