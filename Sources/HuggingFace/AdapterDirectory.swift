import Foundation
internal import JSON
import Tensors

/// The directory of a LoRA adapter as PEFT writes it: `adapter_config.json` and `adapter_model.safetensors`, checked by themselves.
package struct AdapterDirectory: Sendable {
    /// The two matrices of a layer.
    package struct Pair: Sendable {
        /// The module's place in the decoder, such as `layers.0.self_attn.q_proj`.
        package var module: String
        package var rank: Int
        /// What B · A is multiplied by.
        package var scale: Double
        /// `[rank, inputs]`
        package var a: TensorView
        /// `[outputs, rank]`
        package var b: TensorView
    }

    package let path: String
    /// By module.
    package let pairs: [Pair]
    /// Bytes of the two files, for whoever digests them.
    package let configuration: [UInt8]
    package let file: SafetensorsFile

    private static let configurationBytesMax = 1 << 20

    /// What stands before a decoder's layers in the module trees of `transformers`, of any generation.
    private static let starts = [
        "", "model.", "language_model.", "language_model.model.", "model.language_model.", "model.language_model.model.", "model.text_model.",
        "text_model.", "llm.model.",
    ]

    package init(_ path: String) throws(CheckpointError) {
        self.path = path
        let name = "\(path)/adapter_config.json"
        let mapped = try MappedFile(path: name)
        guard mapped.byteCount <= Self.configurationBytesMax else {
            throw CheckpointError(.malformed, file: name, "has more than \(Self.configurationBytesMax) bytes")
        }
        configuration = Array(mapped.bytes)
        let rules = try AdapterConfiguration(JSONValue(configuration, of: name), of: name)
        file = try Self.weights(path)
        var halves: [String: (a: TensorView?, b: TensorView?)] = [:]
        for tensor in file.tensors {
            let (module, isA) = try Self.half(tensor, file.path)
            let known = halves[module] ?? (nil, nil)
            if let twice = isA ? known.a : known.b {
                throw Self.error(tensor, file.path, "is of the same layer as \"\(twice.name)\"")
            }
            halves[module] = isA ? (tensor, known.b) : (known.a, tensor)
        }
        guard !halves.isEmpty else { throw CheckpointError(.inconsistent, file: file.path, "changes no layer") }
        var pairs: [Pair] = []
        for (module, half) in halves.sorted(by: { $0.key < $1.key }) { pairs.append(try Self.pair(module, half, rules, file.path)) }
        self.pairs = pairs
    }

    private static func weights(_ path: String) throws(CheckpointError) -> SafetensorsFile {
        let name = "\(path)/adapter_model.safetensors"
        do throws(CheckpointError) { return try SafetensorsFile(path: name) } catch {
            guard error.reason == .missing, FileManager.default.fileExists(atPath: "\(path)/adapter_model.bin") else { throw error }
            throw CheckpointError(.unsupported, file: "\(path)/adapter_model.bin", "is a pickle, which can run code; save the adapter as safetensors")
        }
    }

    private static func error(_ tensor: TensorView, _ file: String, _ message: String) -> CheckpointError {
        CheckpointError(.unsupported, file: file, tensor: tensor.name, message)
    }

    /// The module that a tensor is half of, and which half.
    private static func half(_ tensor: TensorView, _ file: String) throws(CheckpointError) -> (module: String, isA: Bool) {
        let name = tensor.name
        for (part, what) in [("lora_embedding_", "embeddings"), ("lora_magnitude_vector", "DoRA"), ("lora_B.bias", "biases of B")]
        where name.contains(part) { throw error(tensor, file, "is of \(what), which are not adapted") }
        let isA = name.hasSuffix(".lora_A.weight")
        guard isA || name.hasSuffix(".lora_B.weight") else {
            throw error(tensor, file, "is neither lora_A.weight nor lora_B.weight of a layer (modules_to_save is not supported)")
        }
        var module = name.dropLast(".lora_A.weight".count)
        if module.hasPrefix("base_model.model.") { module = module.dropFirst("base_model.model.".count) }
        let start = starts.first { module.hasPrefix($0 + "layers.") }
        let last = module.split(separator: ".").last.map(String.init) ?? ""
        guard let start, AdapterConfiguration.layers.contains(last) else {
            throw error(tensor, file, "is not of a layer that can be adapted: \(AdapterConfiguration.layers.joined(separator: ", ")) of the decoder")
        }
        return (String(module.dropFirst(start.count)), isA)
    }

    private static func pair(
        _ module: String, _ half: (a: TensorView?, b: TensorView?), _ rules: AdapterConfiguration, _ file: String
    ) throws(CheckpointError) -> Pair {
        guard let a = half.a, let b = half.b else {
            let there = half.a ?? half.b
            let (own, other) = half.a == nil ? ("lora_B.weight", "lora_A.weight") : ("lora_A.weight", "lora_B.weight")
            let missing = there.map { $0.name.dropLast(own.count) + other } ?? ""
            throw CheckpointError(.inconsistent, file: file, tensor: String(missing), "is missing beside \"\(there?.name ?? "")\"")
        }
        // Patterns are of names as PEFT has them, without its own two components.
        let full = a.name.dropLast(".lora_A.weight".count)
        let named = String(full.hasPrefix("base_model.model.") ? full.dropFirst("base_model.model.".count) : full)
        let (rank, field) = try rules.rank(of: named)
        for (tensor, axis) in [(a, 0), (b, 1)] {
            guard [.f32, .f16, .bf16].contains(tensor.type.element) else { throw error(tensor, file, "is \(tensor.type), not f32, f16 or bf16") }
            guard tensor.type.shape.rank == 2 else { throw error(tensor, file, "is \(tensor.type), not a matrix") }
            guard tensor.type.shape[axis] == .fixed(rank) else {
                throw error(tensor, file, "is \(tensor.type), but \(field) of adapter_config.json makes its rank \(rank)")
            }
            if let found = tensor.withBytes({ firstNonFinite($0, tensor.type.element) }) {
                throw CheckpointError(.notFinite, file: file, tensor: tensor.name, "holds a number that is not finite: \(found)")
            }
        }
        return Pair(module: module, rank: rank, scale: rules.scale(of: named, rank: rank), a: a, b: b)
    }
}

extension TensorView {
    /// The elements of an f32, f16 or bf16 tensor as f32, one after another.
    package func forEachFloat(_ body: (Int, Float) -> Void) {
        withBytes { bytes in
            let width = type.element.byteCount
            for index in 0..<bytes.count / max(width, 1) {
                switch type.element {
                case .f32: body(index, bytes.loadUnaligned(fromByteOffset: 4 * index, as: Float.self))
                case .f16: body(index, Float(bytes.loadUnaligned(fromByteOffset: 2 * index, as: Float16.self)))
                default: body(index, Float(bitPattern: UInt32(bytes.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self)) << 16))
                }
            }
        }
    }
}
