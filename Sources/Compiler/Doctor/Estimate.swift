import ArtifactFormat
import CKernels
import Inputs
import Plan
import Tensors

/// What a planned model takes of memory and time, counted from its plans.
struct Estimate {
    private let program: Program
    private let weights: [WeightEntry]
    private let image: Diagnosis.Image?
    private let machine: Machine
    private let target: Target
    private let threads: Int

    init(_ compiled: CompiledProgram, _ compilation: Compilation, image: Diagnosis.Image?, threads: Int) {
        program = compiled.program
        weights = compiled.requests.map { request in
            WeightEntry(
                name: request.origin, layout: request.layout, shape: request.shape, offset: 0, byteCount: request.packedBytes, key: "",
                sources: [])
        }
        self.image = image
        self.threads = threads
        machine = compilation.machine
        target = compilation.options.target
    }

    /// Contexts worth a row: the longest, and shorter ones in steps of four.
    private var contexts: [Int] {
        let most = program.limits.maxModelLength
        return stride(from: 10, through: 18, by: 2).map { 1 << $0 }.filter { $0 < most }.suffix(2) + [most]
    }

    private func plan(_ entry: Entry) -> ExecutionPlan? { program.plans.first { $0.entry == entry } }

    /// The share of its bounds that the usual image takes of the vision entry.
    private var imageShare: Double {
        image.map { min(1, Double($0.patches) / Double(max(program.limits.maxPatches, 1))) } ?? 0
    }

    var memory: MemoryNeed {
        let packed = weights.reduce(0) { $0 + $1.byteCount }
        let arena = program.plans.filter { $0.entry != .vision }.map(\.arenaBytes).max() ?? 0
        let imageArena = Int(Double(plan(.vision)?.arenaBytes ?? 0) * imageShare)
        let features = (image?.tokens ?? 0) * program.imageWidth * MemoryLayout<Float>.stride
        let logits = program.limits.maxSequences * program.vocabularySize * MemoryLayout<Float>.stride
        let states = program.limits.maxSequences * program.stateBytes
        var need = MemoryNeed(
            weights: packed, arena: arena + logits + states, imageArena: imageArena, cachePerToken: program.kv.tokenBytes, perImage: features,
            cases: [])
        for context in contexts {
            for images in image == nil ? [0] : [0, 1, 4] {
                for gear in program.limits.gears {
                    let isPossible = images * (image?.tokens ?? 0) < context
                    let base = Double(packed) + Double(need.arena) + (images > 0 ? Double(imageArena) : 0)
                    let sequence = Double(context) * Double(need.cachePerToken) + Double(images * features)
                    let bytes = min(base + Double(gear) * sequence, 1e18)
                    need.cases.append(.init(gear: gear, context: context, images: images, bytes: isPossible ? Int(bytes) : nil))
                }
            }
        }
        return need
    }

    var speed: ExpectedSpeed? {
        let floors = SpeedFloors(program, weights: weights, for: target, machine: machine, threads: threads)
        let limits = program.limits
        var cases: [ExpectedSpeed.Case] = []
        for context in contexts {
            for gear in limits.gears {
                guard let rate = floors.decodeRate(sequences: gear, context: context) else { continue }
                cases.append(.init(gear: gear, context: context, tokensPerSecond: rate))
            }
        }
        guard let promptRate = floors.prefillRate(tokens: min(limits.maxBatchedTokens, limits.maxModelLength)) else { return nil }
        return ExpectedSpeed(
            processor: machine.processor, threads: threads, promptTokensPerSecond: promptRate,
            secondsPerImage: image.flatMap { floors.imageSeconds(patches: min($0.patches, limits.maxPatches)) }, cases: cases)
    }
}

extension WeightRequest {
    /// Bytes once it is packed.
    fileprivate var packedBytes: Int {
        let elements = shape.reduce(1, *)
        guard shape.count == 2 else { return elements * 4 }
        func panels(_ format: vlm_weight_format) -> Int {
            Int(vlm_weight_bytes(format, Int64(shape[0]), Int64(shape[1]), Int64(layout.group)))
        }
        switch layout {
        case .plain, .indices: return elements * 4
        case .f32Panels: return panels(VLM_WEIGHT_F32)
        case .bf16Panels: return panels(VLM_WEIGHT_BF16)
        case .int8Panels: return panels(VLM_WEIGHT_SCREEN)
        case .int4Blocks: return panels(VLM_WEIGHT_INT4)
        case .int8Blocks: return panels(VLM_WEIGHT_INT8)
        case .f8Blocks: return panels(VLM_WEIGHT_F8)
        case .f4Blocks: return panels(VLM_WEIGHT_F4)
        }
    }
}

extension ModelSource {
    /// A photograph of 1024 × 768, or nil where no image is read.
    var usualImage: Diagnosis.Image? {
        guard let spec = inputs.image, let layout = try? ImageLayout(spec, width: 1024, height: 768) else { return nil }
        return Diagnosis.Image(width: 1024, height: 768, tokens: FeatureTable(spec, layout).count, patches: layout.rows)
    }
}
