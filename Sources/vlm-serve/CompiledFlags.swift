import ArgumentParser
import ArtifactFormat
import CommandLineSupport

/// What is decided when a model is compiled: handed to the compiler for a model directory, and checked against every artifact.
struct CompiledFlags: ParsableArguments {
    /// What arithmetic is in, as vLLM calls it.
    enum ElementType: String, ExpressibleByArgument, CaseIterable {
        case auto, bfloat16, float32, float, half, float16
    }

    @Option(help: "What is computed in: auto as it was compiled; float32 is vlmc compile --precision exact, bfloat16 --precision balanced.")
    var dtype = ElementType.auto
    @Option(name: [.customShort("q"), .customLong("quantization")], help: "What the checkpoint is quantized by, such as awq or gptq, or none.")
    var quantization: String?
    @Flag(help: "Serve plans whose steps are not fused: vlmc compile --rewrite-limit 0.")
    var enforceEager = false
    @Option(help: "What the KV cache holds: auto, bfloat16 (bf16) or float32 (f32), which follow from --dtype.")
    var kvCacheDtype = "auto"
    @Option(name: [.customLong("tensor-parallel-size"), .customLong("tp", withSingleDash: true)], help: "1: models are not split.")
    var tensorParallelSize = 1

    func validate() throws {
        if dtype == .half || dtype == .float16 {
            throw ValidationError("--dtype \(dtype.rawValue): nothing is computed in it; bfloat16 and float32 are possible, also for weights of that type")
        }
        guard tensorParallelSize == 1 else {
            throw ValidationError("--tensor-parallel-size \(tensorParallelSize): models are not split; one process computes, with --threads")
        }
    }

    private var precision: ArtifactKey.Precision? {
        switch dtype {
        case .auto, .half, .float16: nil
        case .bfloat16: .balanced
        case .float32, .float: .exact
        }
    }

    /// As `vlmc compile` spells them.
    var compileFlags: [String] {
        var flags = precision.map { ["--precision", $0.rawValue] } ?? []
        if let quantization { flags += ["--quantization", quantization] }
        if enforceEager { flags += ["--rewrite-limit", "0"] }
        return flags
    }

    /// Throws where the artifact is another, with what to compile.
    func check(_ manifest: Manifest) throws(LaunchError) {
        let (key, provenance) = (manifest.key, manifest.provenance)
        if let precision, precision != key.precision {
            throw again("--dtype \(dtype.rawValue)", "the artifact was compiled with --precision \(key.precision.rawValue)", "--precision \(precision.rawValue)")
        }
        if enforceEager, key.rewriteLimit != 0 {
            throw again("--enforce-eager", "the plans of the artifact are fused", "--rewrite-limit 0")
        }
        let element = ["bfloat16": "bf16", "float32": "f32", "float": "f32"][kvCacheDtype.lowercased()] ?? kvCacheDtype.lowercased()
        if element != "auto", element != "\(key.kvElement)" {
            let possible = ["bf16": "--precision balanced", "f32": "--precision exact"][element]
            let fact = "the KV cache of the artifact is \(key.kvElement)"
            guard let possible else { throw LaunchError("--kv-cache-dtype \(kvCacheDtype): \(fact); f32 and bf16 are possible") }
            throw again("--kv-cache-dtype \(kvCacheDtype)", fact, possible)
        }
        guard let quantization else { return }
        guard let names = provenance.quantization else {
            throw again("--quantization \(quantization)", "the artifact does not say what its checkpoint is quantized by", "--force")
        }
        guard !(names.isEmpty ? ["none"] : names).contains(quantization.lowercased()) else { return }
        let fact = names.first.map { "is quantized by \($0)" } ?? "is not quantized"
        throw LaunchError("--quantization \(quantization): the checkpoint of the artifact \(fact); compile one that is quantized so")
    }

    private func again(_ flag: String, _ fact: String, _ flags: String) -> LaunchError {
        LaunchError("\(flag): \(fact); compile the model again: vlmc compile DIR \(flags)")
    }
}
