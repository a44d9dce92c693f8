package import Plan
import Tensors

/// What there is to know about an artifact at a glance; the JSON of `vlm-cache show`.
package struct ArtifactSummary: Sendable, Codable {
    package struct EntrySummary: Sendable, Codable {
        package var entry: String
        package var steps: Int
        package var arenaBytes: Int
        package var unsharedBytes: Int
        package var flopsPerRow: Double
        package var weightBytesPerRow: Double
        package var attentionFlopsPerContextToken: Double
        package var cacheBytesPerContextToken: Double
        /// Steps that run on a fallback, by kernel.
        package var fallbacks: [String: Int]
    }

    package struct CacheSummary: Sendable, Codable {
        package var element: String
        /// Layers that are alike, in the order of the first of each kind.
        package struct Kind: Sendable, Codable {
            package var layers: Int
            package var heads: Int
            package var headDim: Int
        }

        package var kinds: [Kind]
        package var bytesPerToken: Int
        /// Bytes of one block by its number of tokens.
        package var bytesPerBlock: [String: Int]
    }

    package struct WeightGroup: Sendable, Codable {
        package var layout: String
        package var tensors: Int
        package var elements: Int
        package var bytes: Int
    }

    package struct Verdict: Sendable, Codable {
        package var runsHere: Bool
        /// Why not, or on which machine the kernels were chosen.
        package var note: String
        package var tunedFor: String
    }

    package var path: String
    package var keyDigest: String
    package var programKey: String
    package var weightsKey: String
    package var model: String
    /// All names of the model, the latest first.
    package var names: [String]
    package var architecture: String
    package var compiler: String
    package var key: [ArtifactKey.Field]
    package var gears: [Int]
    package var vocabularySize: Int
    package var hiddenSize: Int
    /// Nil where the artifact's section of inputs cannot be read.
    package var media: MediaTaken?
    package var entries: [EntrySummary]
    package var cache: CacheSummary
    package var weights: [WeightGroup]
    package var layers: [LinearGroup]
    /// Why nodes run on fallbacks, with the number of nodes of all entries; empty when none does or the pass log is gone.
    package var fallbackReasons: [String: Int]
    package var verdict: Verdict
    package var rates: [String: Double]
    package var bytes: Int

    package init(_ artifact: Artifact, features: Set<CPUFeature>, processor: String) {
        let (manifest, program) = (artifact.manifest, artifact.program)
        path = artifact.path
        keyDigest = manifest.keyDigest
        programKey = manifest.programKey
        weightsKey = manifest.weightsKey
        model = manifest.provenance.model
        names = manifest.provenance.allNames
        architecture = manifest.provenance.architecture
        compiler = manifest.key.compiler
        key = manifest.key.fields
        gears = program.limits.gears
        vocabularySize = program.vocabularySize
        hiddenSize = program.hiddenSize
        media = (try? artifact.inputSpec()).map { MediaTaken($0) }
        entries = program.plans.map { EntrySummary($0, artifact) }
        let kv = program.kv
        cache = CacheSummary(
            element: kv.element.rawValue, kinds: CacheSummary.Kind.all(kv), bytesPerToken: kv.tokenBytes,
            bytesPerBlock: Dictionary(uniqueKeysWithValues: [16, 32, 64, 128].map { ("\($0)", kv.blockBytes(size: $0)) }))
        weights = WeightGroup.all(artifact.weights)
        layers = LinearGroup.all(artifact)
        fallbackReasons = artifact.fallbackReasons
        verdict = Verdict(artifact, features: features, processor: processor)
        rates = manifest.tuning.rates
        bytes = manifest.sections.values.reduce(0) { $0 + $1.bytes }
    }
}

extension ArtifactSummary.EntrySummary {
    init(_ plan: ExecutionPlan, _ artifact: Artifact) {
        let cost = PlanCost(plan, of: artifact.program, weights: artifact.weights)
        let rows = Double(max(cost.rows, 1))
        entry = plan.entry.description
        steps = plan.steps.count
        arenaBytes = plan.arenaBytes
        unsharedBytes = plan.unsharedBytes
        flopsPerRow = cost.flops / rows
        weightBytesPerRow = cost.weightBytes / rows
        attentionFlopsPerContextToken = cost.attentionFlopsPerContextToken / rows
        cacheBytesPerContextToken = cost.cacheBytesPerContextToken / rows
        fallbacks = plan.fallbacks
    }
}

extension ArtifactSummary.WeightGroup {
    static func all(_ weights: [WeightEntry]) -> [ArtifactSummary.WeightGroup] {
        var groups: [String: ArtifactSummary.WeightGroup] = [:]
        for weight in weights {
            let name = weight.layout.description
            var group = groups[name] ?? .init(layout: name, tensors: 0, elements: 0, bytes: 0)
            group.tensors += 1
            group.elements += weight.shape.reduce(1, *)
            group.bytes += weight.byteCount
            groups[name] = group
        }
        return groups.values.sorted { ($0.bytes, $0.layout) > ($1.bytes, $1.layout) }
    }
}

extension ArtifactSummary.Verdict {
    init(_ artifact: Artifact, features: Set<CPUFeature>, processor: String) {
        let tuned = artifact.manifest.tuning.processor
        tunedFor = tuned
        do {
            try artifact.requireRunnable(on: features)
            runsHere = true
            note = tuned == processor ? "runs here, tuned for this machine" : "runs here, but was tuned for \(tuned)"
        } catch {
            runsHere = false
            note = error.description
        }
    }
}

/// Linear layers alike but for their place in the model, with the kernel that computes them.
package struct LinearGroup: Sendable, Hashable, Codable {
    package var entry: String
    /// The HuggingFace modules, a range where numbers follow each other: `model.layers.0-27.mlp`.
    package var origin: String
    package var kernel: String
    package var weights: String
    package var outputs: Int
    package var inputs: Int
    package var count: Int
    package var bytes: Int

    /// The groups of vision, `extend` and the largest gear in order of execution.
    static func all(_ artifact: Artifact) -> [LinearGroup] {
        let program = artifact.program
        let largest = Entry.decode(gear: program.limits.maxSequences)
        var groups: [LinearGroup] = []
        for plan in program.plans where plan.entry == .vision || plan.entry == .extend || plan.entry == largest {
            groups += all(plan, artifact.weights)
        }
        return groups
    }

    private static func all(_ plan: ExecutionPlan, _ weights: [WeightEntry]) -> [LinearGroup] {
        var groups: [LinearGroup] = []
        var positions: [LinearGroup: Int] = [:]
        var numbers: [[Int]] = []
        for step in plan.steps {
            guard let linear = step.kernel.linear, case .weight(let index) = step.inputs[1].place else { continue }
            let (pattern, number) = split(step.origin)
            let group = LinearGroup(
                entry: plan.entry.description, origin: pattern, kernel: step.kernel.name,
                weights: linear.layout.description, outputs: linear.outputs, inputs: linear.inputs, count: 0, bytes: 0)
            let position = positions[group] ?? groups.count
            if position == groups.count {
                positions[group] = position
                groups.append(group)
                numbers.append([])
            }
            groups[position].count += 1
            groups[position].bytes += weights[index].byteCount
            if let number { numbers[position].append(number) }
        }
        for index in groups.indices {
            groups[index].origin = groups[index].origin.replacing("*", with: ranges(numbers[index]), maxReplacements: 1)
        }
        return groups
    }

    /// The origin with its first number replaced by `*`, and that number.
    private static func split(_ origin: String) -> (pattern: String, number: Int?) {
        var words = origin.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard let place = words.firstIndex(where: { Int($0) != nil }) else { return (origin, nil) }
        let number = Int(words[place])
        words[place] = "*"
        return (words.joined(separator: "."), number)
    }

    private static func ranges(_ numbers: [Int]) -> String {
        var parts: [(first: Int, last: Int)] = []
        for number in Set(numbers).sorted() {
            if let last = parts.last, last.last + 1 == number {
                parts[parts.count - 1].last = number
            } else {
                parts.append((number, number))
            }
        }
        return parts.map { $0.first == $0.last ? "\($0.first)" : "\($0.first)-\($0.last)" }.joined(separator: ",")
    }
}

extension ArtifactSummary.CacheSummary.Kind {
    fileprivate static func all(_ kv: KVLayout) -> [Self] {
        kv.layers.reduce(into: []) { kinds, layer in
            if let index = kinds.firstIndex(where: { $0.heads == layer.heads && $0.headDim == layer.headDim }) {
                kinds[index].layers += 1
            } else {
                kinds.append(Self(layers: 1, heads: layer.heads, headDim: layer.headDim))
            }
        }
    }
}
