import Foundation
import HuggingFace
import Seeded
import Tensors

extension FuzzTarget {
    /// Directories of adapters, as one input: `adapter_config.json`, a zero byte, `adapter_model.safetensors`. Of one that is taken, each layer has
    /// matrices of one rank and of finite numbers, and a scale.
    static let adapter = FuzzTarget("adapter", secondsMax: 2) { dice, corpus in
        let (config, file) = parts(of: dice.pick(corpus) ?? [])
        guard !dice.once(in: 8) else { return ByteMutation.apply(config + [0] + file, &dice, corpus: corpus, words: adapterWords) }
        if dice.once(in: 2) { return JSONText.changed(config, &dice, corpus: corpus.map { parts(of: $0).config }, words: adapterWords) + [0] + file }
        let header = SafetensorsBytes.header(of: file)
        let changed = JSONText.changed(header, &dice, corpus: [], words: adapterWords)
        return config + [0] + SafetensorsBytes.length(changed.count) + changed + file.dropFirst(8 + header.count)
    } check: { input in
        let (config, file) = parts(of: input)
        let directory = "\(NSTemporaryDirectory())/fuzz-\(getpid())-adapter"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        for (name, bytes) in [("adapter_config.json", config), ("adapter_model.safetensors", file)] {
            _ = FileManager.default.createFile(atPath: "\(directory)/\(name)", contents: Data(bytes))
        }
        guard let adapter = try? AdapterDirectory(directory) else { return }
        for pair in adapter.pairs {
            guard pair.rank > 0, pair.scale.isFinite else { throw Finding("\(pair.module) has rank \(pair.rank) and scale \(pair.scale)") }
            for (tensor, axis) in [(pair.a, 0), (pair.b, 1)] {
                var (count, isFinite) = (0, true)
                tensor.forEachFloat { _, value in
                    count += 1
                    isFinite = isFinite && value.isFinite
                }
                let extents = tensor.type.shape.fixed ?? []
                guard extents.count == 2, extents[axis] == pair.rank, count == extents[0] * extents[1], isFinite else {
                    throw Finding("\(tensor.name) is \(tensor.type) with \(count) numbers, of rank \(pair.rank)")
                }
            }
        }
    }

    private static func parts(of input: [UInt8]) -> (config: [UInt8], file: [UInt8]) {
        guard let end = input.firstIndex(of: 0) else { return (input, []) }
        return (Array(input[..<end]), Array(input[(end + 1)...]))
    }

    private static let adapterWords = [
        "r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "target_modules", "peft_type", "LORA", "^model.layers.0", "q_proj", "lora_A.weight", "lora_B.weight",
        "base_model.model.", "model.layers.0.mlp.up_proj.lora_A.weight", "F32", "BF16", "[2,0]", "[0,2]", "1e308", "-0.0", "9223372036854775807", "0.5", "null",
    ]
}
