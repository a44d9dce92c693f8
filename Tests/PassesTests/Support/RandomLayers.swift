import IR
import Passes
import Reference
import Seeded
import Tensors

/// Graphs of the ops that a plan has steps for, wired at random: views of views, in-place candidates, values read late.
struct RandomLayers {
    static let rows = 3
    private var random: Dice

    init(seed: UInt64) { random = Dice(seed) }

    mutating func make() throws -> Module {
        let module = ModuleBuilder()
        module.symbol("T", bound: 5)
        var random = random
        try module.graph("extend") { b in
            let given = [b.input("a", TensorType(.f32, ["T", 8])), b.input("b", TensorType(.f32, ["T", 16]))]
            var values = given.map { b.add($0, $0) }
            let table = b.input("cos", TensorType(.f32, ["T", 2]))
            let parameters = [4, 8, 16].map { width in b.constant((0..<width).map { 1 + Double($0) / 8 }) }
            for _ in 0..<24 {
                guard let x = values.randomElement(using: &random) else { break }
                values += Self.grow(b, x, values, table, parameters, &random)
            }
            let ends = values.dropFirst(2).shuffled(using: &random).prefix(2)
            return ends.map { b.add($0, $0) }
        }
        self.random = random
        var made = module.finish()
        try eliminateDeadCode.run(on: &made)
        made.stage = .specialized
        return made
    }

    mutating func inputs(of graph: Graph) -> [String: Tensor] {
        var tensors: [String: Tensor] = [:]
        for input in graph.inputs {
            let shape = graph.type(of: input.value).shape.values(["T": Self.rows]) ?? []
            let numbers = (0..<shape.reduce(1, *)).map { _ in Float.random(in: -1...1, using: &random) }
            tensors[input.name] = Tensor(numbers, shape)
        }
        return tensors
    }

    private static func grow(
        _ b: GraphBuilder, _ x: Value, _ values: [Value], _ table: Value, _ parameters: [Value], _ random: inout Dice
    ) -> [Value] {
        let width = x.type.shape.dims.dropFirst().reduce(1) { $0 * $1.factor }
        let equal = values.filter { $0.type == x.type }.randomElement(using: &random) ?? x
        let isFlat = x.type.shape.rank == 2 && x.type.shape[0] == "T"
        let weight = parameters.first { $0.type.shape == [.fixed(width)] }
        switch Int.random(in: 0..<7, using: &random) {
        case 0: return [b.add(x, equal)]
        case 1 where isFlat && width >= 8: return [b.slice(x, axis: 1, 0..<width / 2), b.slice(x, axis: 1, width / 2..<width)]
        case 2 where isFlat: return [b.reshape(x, ["T", .fixed(width / 4), 4])]
        case 3 where x.type.shape.rank == 3: return [b.rotary(x, cos: table, sin: table)]
        case 4 where isFlat && weight != nil:
            let joined = b.addRMSNorm(x, equal, weight ?? x, eps: 1e-6)
            return [joined.sum, joined.y]
        case 5 where x.type.shape.rank == 3: return [b.reshape(x, ["T", .fixed(width)])]
        case 6 where x.type.shape.rank == 3 && width > 4:
            return [b.slice(x, axis: 1, 0..<1), b.slice(x, axis: 1, 1..<width / 4)]
        case 6 where isFlat && width == 16 && Bool.random(using: &random): return [b.reshape(x, [Dim(2, times: "T"), 8])]
        default: return [b.gatedActivation(x, .silu)].filter { _ in isFlat && width == 16 }
        }
    }
}
