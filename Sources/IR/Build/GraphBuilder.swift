package import Tensors

/// Records a graph while ordinary Swift code runs: `let y = b.add(b.matmul(x, w, transposeB: true), bias)`.
///
/// Methods do not throw: after the first op that does not fit, values are place holders and `finish` throws that error,
/// with the scope in which it happened.
package final class GraphBuilder: OpWriter {
    private var graph: Graph
    private let module: ModuleBuilder
    private var scopes: [String] = []
    private var firstError: TypeError?
    private var weights: [String: Value] = [:]

    init(_ name: String, module: ModuleBuilder) {
        graph = Graph(name: name)
        self.module = module
    }

    /// The current place in the HuggingFace module tree.
    package var origin: String { scopes.joined(separator: ".") }

    /// Runs `body` one level deeper in the module tree; `b.scope("layers.0") { … }`.
    package func scope<R>(_ name: String, _ body: () -> R) -> R {
        scopes.append(name)
        defer { scopes.removeLast() }
        return body()
    }

    package func input(_ name: String, _ type: TensorType) -> Value { Value(id: graph.addInput(name, type), type: type) }

    /// A mask bool `[queries, keys]` as an input; the keys of causal ones are the slots of the cache.
    package func mask(_ name: String, _ mask: Mask, queries: Dim, keys: Dim = "S") -> Value {
        let type = TensorType(.bool, [queries, keys])
        return Value(id: graph.addInput(name, type, mask: mask), type: type)
    }

    /// A value that outlives a call, as it is on entry; `update` says what it becomes.
    package func state(_ name: String, _ type: TensorType, _ role: StateRole? = nil) -> Value {
        Value(id: graph.addState(name, type, role: role), type: type)
    }

    /// What the state `name` is after the call.
    package func update(_ name: String, _ value: Value) {
        guard let index = graph.states.firstIndex(where: { $0.name == name }) else { return fail("there is no state \(name)") }
        let type = graph.type(of: graph.states[index].value)
        guard type == value.type else { return fail("state \(name) is \(type), its new value is \(value.type)") }
        graph.states[index].updated = value.id
    }

    package func hasWeight(_ name: String) -> Bool { module.hasWeight(name) }

    /// A tensor of the checkpoint in the type that it has there; `shape` is what the config makes of it.
    package func weight(_ name: String, _ shape: Shape? = nil) -> Value {
        if let known = weights[name] { return known }
        guard let decl = module.use(name) else {
            fail("the checkpoint has no tensor \(name)")
            return Value(id: ValueID(index: 0), type: TensorType(.f32, shape ?? []))
        }
        if let shape, shape != decl.type.shape {
            fail("tensor \(name) is \(decl.type), but the config makes it \(shape)")
        }
        let value = one(Weight(name, decl.type))
        weights[name] = value
        return value
    }

    package func write(_ op: any Op, _ operands: [Value]) -> [Value] {
        let types = operands.map(\.type)
        let op = op.normalized(for: types)
        if firstError == nil {
            do throws(TypeError) {
                let results = try op.check(types, origin: origin)
                let node = graph.addNode(op, operands.map(\.id), types: results, origin: origin)
                return zip(node.results, results).map { Value(id: $0, type: $1) }
            } catch {
                firstError = error
            }
        }
        return op.schema.results.map { _ in Value(id: ValueID(index: 0), type: TensorType(.f32, [])) }
    }

    /// Reports that the model cannot be traced; the first report is the one that `finish` throws.
    package func fail(_ reason: String) {
        if firstError == nil { firstError = TypeError(reason, origin: origin) }
    }

    func finish(_ results: [Value]) throws(TypeError) -> Graph {
        if let firstError { throw firstError }
        graph.results = results.map(\.id)
        return graph
    }
}
