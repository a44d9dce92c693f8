package import Execution
internal import HuggingFace
package import Plan
package import Serving
internal import Tensors

/// An adapter of a directory, made for a program.
package struct LoadedAdapter: Sendable {
    package let name: String
    package let directory: String
    package let adapter: Adapter
    package let digest: ContentDigest

    package var byteCount: Int { adapter.byteCount }

    /// What an operator allows and names.
    package struct Rules: Sendable {
        /// Most rows of A.
        package var maxRank: Int

        package init(maxRank: Int) { self.maxRank = maxRank }
    }

    /// Throws for a directory that holds no adapter, whatever the program is.
    package static func check(_ directory: String) throws { _ = try AdapterDirectory(directory) }

    /// Reads the directory; throws for an adapter that does not fit the program or the rules, naming the tensor.
    package init(name: String, directory: String, for program: Program, _ rules: Rules) throws {
        let source = try AdapterDirectory(directory)
        let layers = Dictionary(program.adaptedLayers.map { ($0.name, $0) }) { first, _ in first }
        var parts: [(layer: AdaptedLayer, rank: Int)] = []
        for pair in source.pairs {
            func fault(_ tensor: TensorView, _ message: String) -> CheckpointError {
                CheckpointError(.inconsistent, file: source.file.path, tensor: tensor.name, message)
            }
            guard let layer = layers["model." + pair.module] else { throw fault(pair.a, "is of a layer that the model does not have") }
            guard pair.rank <= rules.maxRank else {
                throw fault(pair.a, "has rank \(pair.rank), above --max-lora-rank \(rules.maxRank)")
            }
            guard pair.a.type.shape[1] == .fixed(layer.inputs) else {
                throw fault(pair.a, "is \(pair.a.type), but the layer of the model has \(layer.inputs) inputs")
            }
            guard pair.b.type.shape[0] == .fixed(layer.outputs) else {
                throw fault(pair.b, "is \(pair.b.type), but the layer of the model has \(layer.outputs) outputs")
            }
            parts.append((layer, pair.rank))
        }
        let pairs = Dictionary(source.pairs.map { ("model." + $0.module, $0) }) { first, _ in first }
        adapter = try Adapter(name: name, layers: parts) { share in
            guard let pair = pairs[share.layer.name] else { return }
            let (rank, outputs) = (share.rank, share.layer.outputs)
            pair.a.forEachFloat { index, value in share.down[index] = value }
            var isFinite = true
            pair.b.forEachFloat { index, value in
                let scaled = Float(Double(value) * pair.scale)
                isFinite = isFinite && scaled.isFinite
                share.up[index % rank * outputs + index / rank] = scaled
            }
            guard isFinite else {
                throw CheckpointError(.notFinite, file: source.file.path, tensor: pair.b.name, "times the scale \(pair.scale) is beyond f32")
            }
        }
        digest = ContentDigest { hasher in
            source.configuration.withUnsafeBytes { hasher.update($0) }
            hasher.update(source.file.file.bytes)
        }
        (self.name, self.directory) = (name, directory)
    }
}
