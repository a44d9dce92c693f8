import IR
import Tensors
import Testing

@Suite struct AnalysisTests {
    private static let text = """
        // vir 1 · stage: traced
        symbol T <= 8
        weight @a : bf16[4, 4]
        weight @b : bf16[4, 4]
        graph @g(%x: f32[T, 4], state %s: f32[T, 4]) -> f32[T, 8] {
          %0 = weight @a : bf16[4, 4]  // layers.0
          %1 = weight @b : bf16[4, 4]  // layers.0
          %2 = concat %0, %1 {axis = 0} : bf16[8, 4]
          %3 = cast %2 {to = f32} : f32[8, 4]
          %4 = add %x, %s : f32[T, 4]
          %5 = matmul %4, %3 {transpose_b = true} : f32[T, 8]
          update %s = %4
          return %5
        }
        """

    @Test func recipesAreConstant() throws {
        let graph = try Parser.parse(Self.text).graphs[0]
        let constness = Constness(graph)
        #expect(graph.nodes.map(constness.runs) == [false, false, false, false, true, true])
        #expect(constness.roots == [graph.nodes[3].result])
        let recipe = graph.extracting(constness.roots)
        #expect(recipe.inputs.isEmpty && recipe.states.isEmpty)
        #expect(recipe.nodes.map(\.op.mnemonic) == ["weight", "weight", "concat", "cast"])
        let again = try Parser.parse(Self.text.replacing("layers.0", with: "layers.1")).graphs[0]
        #expect(again.recipe([again.nodes[3].result]) == graph.recipe([graph.nodes[3].result]))
        #expect(graph.recipe([graph.nodes[2].result]) != graph.recipe([graph.nodes[3].result]))
    }

    @Test func usesAndLiveness() throws {
        let graph = try Parser.parse(Self.text).graphs[0]
        let (uses, liveness) = (Uses(graph), Liveness(graph))
        let sum = graph.nodes[4].result
        #expect(uses.count(sum) == 2)
        #expect(uses.isOutput(sum))
        #expect(uses.nodes(reading: sum) == [graph.nodes[5].id])
        #expect(liveness.range(of: sum) == 4..<7)
        #expect(liveness.range(of: graph.nodes[0].result) == 0..<3)
        #expect(liveness.range(of: graph.inputs[0].value) == 0..<5)
    }

    @Test func costCountsWhatRuns() throws {
        let graph = try Parser.parse(Self.text).graphs[0]
        let cost = Cost(graph, ["T": 2])
        #expect(cost.flops == 2 * 4 + 2 * 2 * 8 * 4)
        #expect(cost.bytesRead == Double((8 + 8 + 8 + 32) * 4))
        #expect(cost.bytesWritten == Double((8 + 16) * 4))
    }

    @Test func buildersReportTheFirstError() throws {
        let builder = ModuleBuilder(weights: [WeightDecl("w", TensorType(.f32, [4, 4]))])
        let error = #expect(throws: TypeError.self) {
            try builder.graph("g") { b in
                let x = b.input("x", TensorType(.f32, ["T", 8]))
                return b.scope("layers.0") {
                    b.scope("mlp") { [b.neg(b.matmul(x, b.weight("w", [4, 4]), transposeB: true))] }
                }
            }
        }
        #expect(error?.description == "matmul: inner extents of f32[T, 8] and f32[4, 4] differ: 8 is not 4 (in layers.0.mlp)")
        let missing = #expect(throws: TypeError.self) { try builder.graph("g") { b in [b.weight("v")] } }
        #expect(missing?.description == "the checkpoint has no tensor v")
        let wrong = #expect(throws: TypeError.self) { try builder.graph("g") { b in [b.weight("w", [4, 8])] } }
        #expect(wrong?.description == "tensor w is f32[4, 4], but the config makes it [4, 8]")
    }
}
