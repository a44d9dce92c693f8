import HuggingFace
import IR
import Tensors

/// Records one graph of a model: a `GraphBuilder` that finds weights by the place in the module tree.
///
/// Blocks extend it. The first weight that is missing or does not fit is kept in `failure`, with the names of all that are missing;
/// later values are place holders.
package final class ModelTracer {
    let b: GraphBuilder
    let catalog: WeightCatalog
    let quantization: QuantizationConfig?
    /// i32 `[T]`, the adapter of each token's sequence; nil where no adapters are taken.
    var adapters: Value?
    private var firstFailure: CheckpointError?
    private var missing: [String] = []

    init(_ builder: GraphBuilder, catalog: WeightCatalog, quantization: QuantizationConfig?) {
        b = builder
        self.catalog = catalog
        self.quantization = quantization
    }

    var failure: CheckpointError? {
        guard var failure = firstFailure, failure.reason == .missing else { return firstFailure }
        let others = missing.filter { $0 != failure.tensor }
        if !others.isEmpty { failure.message += "; so are \(listed(others))" }
        return failure
    }

    package func scope<R>(_ name: String, _ body: () -> R) -> R { b.scope(name, body) }

    /// The tensor `leaf` of the current module, as f32.
    func parameter(_ leaf: String, _ shape: Shape) -> Value { widened(stored(leaf, shape)) }

    /// The tensor `leaf` of the current module in the type that the checkpoint has: f32, f16 or bf16.
    func stored(_ leaf: String, _ shape: Shape) -> Value {
        stored(leaf, shape, expecting: "f32, f16 or bf16") { [.f32, .f16, .bf16].contains($0) }
    }

    /// The tensor `leaf` as f32 of that shape, whether the checkpoint has further axes of extent 1 before it or not.
    func padded(_ leaf: String, _ shape: Shape) -> Value {
        guard let declared = catalog.declarations[path(leaf)]?.type.shape, declared.rank > shape.rank,
            declared.dims.prefix(declared.rank - shape.rank).allSatisfy({ $0 == 1 })
        else { return parameter(leaf, shape) }
        let ones = Array(repeating: Dim.fixed(1), count: declared.rank - shape.rank)
        return b.reshape(parameter(leaf, Shape(ones + shape.dims)), shape)
    }

    /// `x` as f32.
    func widened(_ x: Value) -> Value { x.type.element == .f32 ? x : b.cast(x, to: .f32) }

    /// `y = x · Wᵀ + bias` by the layer `name` of the current module (`torch.nn.Linear`), quantized when its tensors are.
    func linear(_ name: String, _ x: Value, from inputs: Int, to outputs: Int, bias: Bool) -> Value {
        scope(name) {
            let layout = WeightLayout(self, inputs: inputs, outputs: outputs)
            let product = b.matmul(layout.input(x), layout.weight, transposeB: true)
            let y = bias || layout.isQuantized && has("bias") ? b.add(product, parameter("bias", [.fixed(outputs)])) : product
            guard let adapters, isAdapted(name) else { return y }
            return b.adapt(y, x, adapters, layers: [b.origin], widths: [outputs])
        }
    }

    /// The shape that the checkpoint gives the tensor `leaf` of the current module; nil where it has none.
    func declaredShape(_ leaf: String) -> Shape? { catalog.declarations[path(leaf)]?.type.shape }

    /// The list `leaf` of the group that each input of the current module belongs to, one value for all layers whose lists are the same;
    /// nil where there is none, or where it says no more than that each `group` inputs in turn are one.
    func groups(_ leaf: String, inputs: Int, group: Int) -> Value? {
        guard has(leaf) else { return nil }
        let list = stored(leaf, [.fixed(inputs)], expecting: DType.i32.rawValue) { $0 == .i32 }
        guard let known = catalog.groups[path(leaf)] else { return list }
        return known.span == group ? nil : b.weight(known.first, [.fixed(inputs)])
    }

    /// Whether the checkpoint has the tensor `leaf` of the current module.
    func has(_ leaf: String) -> Bool { catalog.declarations[path(leaf)] != nil }

    /// The tensor `leaf` of the current module in one of the types that `valid` accepts.
    func stored(_ leaf: String, _ shape: Shape, expecting elements: String, _ valid: (DType) -> Bool) -> Value {
        guard let declaration = catalog.declarations[path(leaf)] else {
            let place = catalog.absent[path(leaf)].map { "; the index says that it is in \($0): download that file again" } ?? ""
            return refuse(leaf, "is missing; config.json implies \(shape)\(place)", .missing)
        }
        guard declaration.type.shape == shape else {
            return refuse(leaf, "is \(declaration.type), but config.json implies the shape \(shape)")
        }
        guard valid(declaration.type.element) else {
            return refuse(leaf, "is \(declaration.type), expected \(elements)")
        }
        return b.weight(path(leaf), shape)
    }

    private func path(_ leaf: String) -> String { b.origin.isEmpty ? leaf : "\(b.origin).\(leaf)" }

    /// Keeps the failure; the value stands in for a tensor that cannot be used.
    func refuse(_ leaf: String, _ message: String, _ reason: CheckpointError.Reason = .inconsistent) -> Value {
        let name = path(leaf)
        if reason == .missing, !missing.contains(name) { missing.append(name) }
        if firstFailure == nil {
            let source = catalog.declarations[name]?.source ?? name
            firstFailure = CheckpointError(reason, file: catalog.location, tensor: source, message)
        }
        b.fail("tensor \(name) \(message)")
        return b.literal(0)
    }
}

