package import HuggingFace
package import IR
import Plan
import Tensors

/// How a family's checkpoint becomes a module of entries.
package struct TraceEntries {
    var decoder: DecoderConfiguration
    /// nil: the family reads text only.
    var images: ImageRows?
    var rewrites: [NameRewrite]
    /// Tensors that are known and not used.
    package var ignored: [NamePattern] = []
    var quantization: QuantizationConfig?
    /// Symbols of the vision entry with their bounds.
    package var visionSymbols: [(name: String, bound: Int)] = []

    /// Records `vision` if there is one, `extend` and `decode`; a weight that does not fit, is missing or has no use is an error.
    package func module(
        _ checkpoint: CheckpointTypes, _ bounds: TraceBounds, vision: ((ModelTracer) -> Value)? = nil
    ) throws(CheckpointError) -> Module {
        try check(bounds.innerStates, checkpoint)
        var symbols = [("T", bounds.tokens), ("B", bounds.rows), ("S", bounds.slots)]
        if decoder.keepsStates { symbols.append(("R", bounds.rows)) }
        if images != nil { symbols.append(("I", bounds.imageRows)) }
        var entries: [(name: String, body: (ModelTracer) -> [Value])] = []
        if let vision { entries.append(("vision", { [vision($0)] })) }
        entries.append(("extend", {
            $0.adapters = bounds.takesAdapters ? $0.adapterInput(tokens: "T") : nil
            return $0.extend(decoder, images: images, showing: bounds.innerStates)
        }))
        entries.append(("decode", {
            $0.adapters = bounds.takesAdapters ? $0.adapterInput(tokens: "B") : nil
            return $0.decode(decoder, showing: bounds.innerStates)
        }))
        return try self.module(checkpoint, symbols + visionSymbols.map { ($0.name, $0.bound) }, entries)
    }

    /// Records these entries; a weight that does not fit, is missing or has no use is an error.
    func module(
        _ checkpoint: CheckpointTypes, _ symbols: [(name: String, bound: Int)], _ entries: [(name: String, body: (ModelTracer) -> [Value])]
    ) throws(CheckpointError) -> Module {
        let catalog = try WeightCatalog(checkpoint, rewrites: rewrites)
        let module = ModuleBuilder(weights: Array(catalog.declarations.values))
        for (name, bound) in symbols { module.symbol(name, bound: bound) }
        for (name, body) in entries { try record(name, module, catalog, body) }
        let traced = module.finish()
        try catalog.requireUse(traced.weights, ignoring: ignored + .derived + (quantization == nil ? [] : .quantizationFacts))
        return traced
    }

    private func check(_ inner: InnerStates?, _ checkpoint: CheckpointTypes) throws(CheckpointError) {
        guard case .beforeLayers(let layers)? = inner, let other = layers.first(where: { !(0...decoder.layers.count).contains($0) }) else { return }
        throw CheckpointError(
            .inconsistent, file: checkpoint.location, "has \(decoder.layers.count) layers; there are no hidden states before layer \(other), which the head reads")
    }

    /// Records one entry; a weight that does not fit is reported as such.
    private func record(
        _ entry: String, _ module: ModuleBuilder, _ catalog: WeightCatalog, _ body: (ModelTracer) -> [Value]
    ) throws(CheckpointError) {
        var failure: CheckpointError?
        do throws(TypeError) {
            try module.graph(entry) { builder in
                let tracer = ModelTracer(builder, catalog: catalog, quantization: quantization)
                defer { failure = tracer.failure }
                return body(tracer)
            }
        } catch {
            throw failure ?? CheckpointError(.inconsistent, file: catalog.location, "cannot be traced: \(error)")
        }
    }
}

extension TraceEntries {
    /// Those of a family whose weights are not quantized.
    package init(_ decoder: DecoderConfiguration, images: ImageRows?, rewrites: [NameRewrite]) {
        self.init(decoder: decoder, images: images, rewrites: rewrites, quantization: nil)
    }
}
