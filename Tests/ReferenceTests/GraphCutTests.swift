import IR
import Reference
import Tensors
import Testing

/// Boxes of constants are the boxes of the whole, whatever computes them, and read no more of the weights than they need.
struct GraphCutTests {
    private static let weights: [(declaration: String, tensor: Tensor)] = [
        ("@a : f32[24, 4]", noise([24, 4], seed: 1)), ("@b : f32[16, 4]", noise([16, 4], seed: 2)), ("@row : f32[4]", noise([4], seed: 3)),
        ("@words : i32[2, 16]", Tensor(ints: (0..<32).map { Int32(truncatingIfNeeded: $0 &* 0x0654_3217) }, [2, 16])),
        ("@zeros : i32[2, 2]", Tensor(ints: [0x1234_5678, 0x0765_4321, 0x1111_2222, 0x7777_0000], [2, 2])),
        ("@scales : f16[2, 16]", noise([2, 16], seed: 4, .f16)), ("@blocks : f32[2, 2]", noise([2, 2], seed: 5)),
    ]

    private static let recipes: [String] = [
        "%r = concat %a, %b {axis = 0} : f32[40, 4]",
        "%s = slice %a {axis = 0, start = 5, end = 21} : f32[16, 4]\n%r = mul %s, %row : f32[16, 4]",
        "%r = transpose %a {perm = [1, 0]} : f32[4, 24]",
        "%g = reshape %a {dims = [4, 6, 4]} : f32[4, 6, 4]\n%s = slice %g {axis = 1, start = 2, end = 5} : f32[4, 3, 4]\n"
            + "%r = reshape %s {dims = [12, 4]} : f32[12, 4]",
        "%r = repeat %b {axis = 0, count = 3} : f32[48, 4]",
        "%l = literal {value = 2} : f32[16, 4]\n%n = neg %b : f32[16, 4]\n%r = add %n, %l : f32[16, 4]",
        "%s = slice %b {axis = 0, start = 3, end = 4} : f32[1, 4]\n%r = expand %s {dims = [16, 4]} : f32[16, 4]",
        "%r = dequantize_awq %zeros, %zeros, %scales {group = 1} : f32[16, 2]",
        "%u = unpack %words {axis = 0} : i32[16, 16]\n%r = int4_words %u : i32[16, 2]",
        "%u = unpack %words {axis = 0} : i32[16, 16]\n%c = transpose %u {perm = [1, 0]} : i32[16, 16]\n"
            + "%y = unpack %zeros : i32[2, 16]\n%z = transpose %y {perm = [1, 0]} : i32[16, 2]\n"
            + "%s = transpose %scales {perm = [1, 0]} : f16[16, 2]\n%r = dequantize %c, %s, zeros: %z {columns = 8} : f32[16, 16]",
        "%u = unpack %words {axis = 0} : i32[16, 16]\n%c = transpose %u {perm = [1, 0]} : i32[16, 16]\n"
            + "%r = dequantize %c, %blocks {rows = 8, columns = 8} : f32[16, 16]",
        "%d = repeat %blocks {axis = 0, count = 9} : f32[18, 2]\n%s = slice %d {axis = 0, start = 0, end = 16} : f32[16, 2]\n"
            + "%w = repeat %s {axis = 1, count = 4} : f32[16, 8]\n%r = slice %w {axis = 1, start = 0, end = 7} : f32[16, 7]",
        "%s = row_scales %a : f32[24, 1]\n%r = row_codes %a, %s : i8[24, 4]", "%r = row_scales %a : f32[24, 1]",
        "%u = unpack %words {axis = 0} : i32[16, 16]\n%h = literal {value = 1} : i32[8]\n%z = literal {value = 0} : i32[8]\n"
            + "%o = concat %h, %z {axis = 0} : i32[16]\n%s = group_order %o {group = 8} : i32[16]\n%r = gather %u, %s : i32[16, 16]",
    ]

    @Test(arguments: recipes) func boxesAreThoseOfTheWhole(_ recipe: String) throws {
        let graph = try Self.graph(recipe)
        let whole = try Self.evaluator.run(graph).results[0]
        for box in Self.boxes(of: whole.shape) {
            guard let cut = GraphCut(graph, boxes: [box]) else {
                // Its rows are whole.
                #expect(recipe.contains("%r = dequantize") && box[1].count < whole.shape[1], "\(box)")
                continue
            }
            let evaluator = Evaluator { name throws(EvaluationError) in
                guard let part = cut.parts[name] else { throw EvaluationError("no \(name)") }
                return try Self.cut(Self.weight(part.weight), part.box)
            }
            #expect(try evaluator.run(cut.graph).results[0] == Self.cut(whole, box), "\(box)")
        }
    }

    @Test func noMoreIsReadThanNeeded() throws {
        let graph = try Self.graph("%u = unpack %words {axis = 0} : i32[16, 16]\n%r = transpose %u {perm = [1, 0]} : i32[16, 16]")
        let cut = try #require(GraphCut(graph, boxes: [[3..<5, 0..<16]]))
        #expect(cut.parts.values.map(\.weight) == ["words"] && cut.parts.values.map(\.box) == [[0..<2, 3..<5]])
    }

    @Test func whatMixesRowsHasNoBoxes() throws {
        #expect(GraphCut(try Self.graph("%r = cumsum %b {axis = 0} : f32[16, 4]"), boxes: [[0..<2, 0..<4]]) == nil)
        #expect(GraphCut(try Self.graph("%r = neg %b : f32[16, 4]"), boxes: [[15..<17, 0..<4]]) == nil)
    }

    private static func graph(_ recipe: String) throws -> Graph {
        let used = weights.filter { weight in recipe.contains("%\(name(weight.declaration))") }
        let loads = used.map { "%\(name($0.declaration)) = weight \($0.declaration)\n" }
        let result = try #require(recipe.split(separator: "\n").last?.split(separator: " : ").last)
        let declared = used.map { "weight \($0.declaration)\n" }
        let text =
            "// vir 1 · stage: fused\n" + declared.joined() + "graph @g() -> \(result) {\n" + loads.joined() + recipe + "\nreturn %r\n}\n"
        return try #require(try Parser.parse(text).graphs.first)
    }

    private static func name(_ declaration: String) -> Substring { declaration.split(separator: " ")[0].dropFirst() }

    private static func weight(_ wanted: String) throws(EvaluationError) -> Tensor {
        guard let weight = weights.first(where: { name($0.declaration) == wanted }) else { throw EvaluationError("no \(wanted)") }
        return weight.tensor
    }

    private static var evaluator: Evaluator { Evaluator { name throws(EvaluationError) in try weight(name) } }

    /// Rows, columns and pieces of both, aligned and not.
    private static func boxes(of shape: [Int]) -> [[Range<Int>]] {
        var result: [[Range<Int>]] = []
        for step in [1, 3, 8] {
            for start in stride(from: 0, to: shape[0], by: step) { result.append([start..<min(start + step, shape[0]), 0..<shape[1]]) }
            for start in stride(from: 0, to: shape[1], by: step) {
                let columns = start..<min(start + step, shape[1])
                result += [[0..<shape[0], columns], [shape[0] / 2..<shape[0] / 2 + 1, columns]]
            }
        }
        return result
    }

    private static func cut(_ tensor: Tensor, _ box: [Range<Int>]) throws(EvaluationError) -> Tensor {
        var tensor = tensor
        for (axis, range) in box.enumerated() {
            guard let part = try? evaluate(Slice(axis: axis, start: range.lowerBound, end: range.upperBound), tensor)[0] else {
                throw EvaluationError("no such part")
            }
            tensor = part
        }
        return tensor
    }
}
