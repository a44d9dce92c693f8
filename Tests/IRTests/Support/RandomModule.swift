import IR
import Seeded
import Tensors

/// Modules of random ops with random attributes, well formed because every op is checked before it is written.
struct RandomModule {
    private var random: Dice
    private static let dims: [Dim] = [1, 2, 3, 4, 6, "T", "S", Dim(4, times: "T")]
    private static let origins = ["", "model.layers.0.input_layernorm", "visual.blocks.1.attn qkv", "модель · ünï"]

    init(seed: UInt64) { random = Dice(seed) }

    mutating func make() throws -> Module {
        let weights = (0..<3).map { WeightDecl("w.\($0)", fixedType(), source: Bool.random(using: &random) ? "odd \"name\"\n\($0)" : nil) }
        let builder = ModuleBuilder(weights: weights, attributes: ["a \"b\"": "c\\d\n"])
        builder.symbol("T", bound: 64)
        builder.symbol("S", bound: 1 << 40)
        for index in 0...Int.random(in: 0...1, using: &random) {
            try builder.graph(index == 0 ? "extend" : "decode.\(index)") { body($0, weights) }
        }
        return builder.finish()
    }

    private mutating func body(_ b: GraphBuilder, _ weights: [WeightDecl]) -> [Value] {
        var values = (0..<3).map { index in
            let made = type()
            return made.element == .bool ? mask("in.\(index)", b) : b.input("in.\(index)", made)
        }
        let state = type()
        values.append(b.state("kv", state))
        values += weights.map { b.weight($0.name) }
        values.append(b.literal([-.infinity, 0, 1e-6, 3, 1e300].randomElement(using: &random) ?? 0))
        values.append(b.constant([0.1, -2, 1e-30]))
        for _ in 0..<40 {
            guard let schema = OpTable.all.randomElement(using: &random)?.schema, let op = op(schema) else { continue }
            let count = op.operandNames.first == "xs" ? Int.random(in: 1...3, using: &random) : op.operandNames.count
            let operands = (0..<count).compactMap { _ in values.randomElement(using: &random) }
            let types = operands.map(\.type)
            guard (try? op.normalized(for: types).check(types)) != nil, !op.schema.isFused else { continue }
            if op is Weight { continue }
            let origin = Self.origins.randomElement(using: &random) ?? ""
            values += b.scope(origin) { b.write(op, operands) }
        }
        if let new = values.last(where: { $0.type == state }) { b.update("kv", new) }
        return (0..<Int.random(in: 0...2, using: &random)).compactMap { _ in values.randomElement(using: &random) }
    }

    private mutating func mask(_ name: String, _ b: GraphBuilder) -> Value {
        let masks: [Mask] = [
            .causal(), .causal(window: 3), .causal(spans: true), .causal(window: 9, spans: true), .segments("images"),
            .segments(queries: "queries", keys: "tiles"),
        ]
        return b.mask(name, masks.randomElement(using: &random) ?? .causal(), queries: Self.dims.randomElement(using: &random) ?? 1)
    }

    private mutating func op(_ schema: OpSchema) -> (any Op)? {
        var attributes: [String: AttributeValue] = [:]
        for attribute in schema.attributes { attributes[attribute.name] = value(attribute.kind) }
        for operand in schema.operands where operand.kind == .optional {
            attributes[operand.name] = .bool(Bool.random(using: &random))
        }
        return try? schema.make(attributes)
    }

    private mutating func value(_ kind: AttributeKind) -> AttributeValue {
        switch kind {
        case .int: .int(Int.random(in: -2...3, using: &random))
        case .float: .float(Double.random(in: 0...1, using: &random))
        case .bool: .bool(Bool.random(using: &random))
        case .name: .name("w.0")
        case .ints: .ints((0..<Int.random(in: 0...3, using: &random)).shuffled(using: &random))
        case .floats: .floats([])
        case .names: .names((0..<Int.random(in: 0...2, using: &random)).map { "layer.\($0)" })
        case .shape: .shape(type().shape)
        case .element: .element(DType.allCases.randomElement(using: &random) ?? .f32)
        case .type: .type(type())
        case .word(let words): .word(words.randomElement(using: &random) ?? "")
        }
    }

    private mutating func type() -> TensorType {
        let rank = Int.random(in: 0...3, using: &random)
        let dims = (0..<rank).compactMap { _ in Self.dims.randomElement(using: &random) }
        return TensorType([.f32, .f32, .f32, .bf16, .i32, .bool].randomElement(using: &random) ?? .f32, Shape(dims))
    }

    private mutating func fixedType() -> TensorType {
        TensorType(.f32, [.fixed(Int.random(in: 1...4, using: &random)), .fixed(Int.random(in: 1...4, using: &random))])
    }
}
