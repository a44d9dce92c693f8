import HuggingFace
import IR
import Inputs
import Passes
import Plan
import Reference
import Tensors

/// The decoder computed by Reference on the prompts of a calibration, layer by layer; what layers read is looked at and dropped.
///
/// Held are all prompts' activations at one place of the model, one layer's weight, and `ScaleSearch.rowsMax` rows of its inputs.
struct CalibrationRun {
    private let module: Module
    private let tensors: [String: TensorView]
    let prompts: [PreparedPrompt]

    /// The prompts that fit, from the first on.
    init(_ module: Module, _ tensors: [String: TensorView], _ prompts: [PreparedPrompt]) {
        (self.module, self.tensors) = (module, tensors)
        var (kept, tokens): ([PreparedPrompt], Int) = ([], 0)
        for prompt in prompts where tokens + prompt.tokens.count <= CalibrationInputs.tokensMax {
            kept.append(prompt)
            tokens += prompt.tokens.count
        }
        self.prompts = kept
    }

    /// What layers that read one value have in common.
    typealias Found = (site: ScaleSite, outcome: ScaleSearch.Outcome, layers: [(origin: String, outputs: Int)])

    /// Searches at every site; `report` gets the bytes of the weights that were looked at.
    func found(_ sites: [ScaleSite], report: (Int) -> Void) throws(EvaluationError) -> [Found] {
        guard let extend = module.graph("extend") else { throw EvaluationError("the model has no entry extend") }
        let calls = try calls(extend, try features())
        var pending: [NodeID: ScaleSite] = [:]
        for site in sites { pending[site.layers[0].id] = site }
        var found: [Found] = []
        guard !pending.isEmpty else { return [] }
        _ = try StreamedRun(extend, constants(of: extend)).run(calls) { node, operand throws(EvaluationError) in
            guard let site = pending.removeValue(forKey: node.id) else { return true }
            let sample = CalibrationSample(operand(0), keeping: ScaleSearch.rowsMax)
            let outcome = try search(site, sample, extend)
            found.append((site, outcome, site.layers.map { described($0.id, extend) }))
            report(byteCount(of: site))
            return !pending.isEmpty
        }
        return found
    }

    private func described(_ layer: NodeID, _ graph: Graph) -> (origin: String, outputs: Int) {
        guard let node = graph[layer] else { return ("", 0) }
        return (node.origin, graph.type(of: node.operands[1]).shape[0].fixedValue ?? 0)
    }

    /// Bytes of the weights of a site, as 16-bit numbers.
    func byteCount(of site: ScaleSite) -> Int {
        guard let extend = module.graph("extend") else { return 0 }
        return site.layers.reduce(0) { sum, layer in
            sum + (extend[layer.id].flatMap { extend.type(of: $0.operands[1]).shape.fixed } ?? [0]).reduce(2, *)
        }
    }

    private func search(_ site: ScaleSite, _ sample: CalibrationSample, _ graph: Graph) throws(EvaluationError) -> ScaleSearch.Outcome {
        var layers: [ScaleSearch.Layer] = []
        var group = 0
        for layer in site.layers {
            guard let node = graph[layer.id], let weight = StreamedWeight(graph.recipe([node.operands[1]]), tensors),
                case .int4(let size)? = int4(graph.type(of: node.operands[1]).shape)
            else { throw EvaluationError("a weight of a linear layer is no matrix") }
            layers.append(ScaleSearch.Layer(weight: weight, clipped: layer.clipped))
            group = size
        }
        guard sample.count > 0 else { throw EvaluationError("no prompt reaches \(graph[site.layers[0].id]?.origin ?? "a layer")") }
        guard sample.rows.allSatisfy(\.isFinite) else { throw EvaluationError("inputs of \(graph[site.layers[0].id]?.origin ?? "a layer") are not finite") }
        let scales = if case .success = site.producer { true } else { false }
        return try ScaleSearch(sample: sample, group: group).search(layers, scales: scales)
    }

    private func constants(of graph: Graph) -> StreamedRun.Constants {
        let tensors = tensors
        return StreamedRun.Constants { value throws(EvaluationError) in
            try RecipeStream(graph: graph.recipe([value]), tensors: tensors).values()[0]
        } rows: { value, numbers throws(EvaluationError) in
            let stream = RecipeStream(graph: graph.recipe([value]), tensors: tensors)
            guard let shape = graph.type(of: value).shape.fixed else { throw EvaluationError("a table has no fixed extents") }
            let rest = shape.dropFirst().map { 0..<$0 }
            var values: [Float] = []
            for number in numbers {
                guard (0..<shape[0]).contains(Int(number)) else { throw EvaluationError("row \(number) is outside a table of \(shape[0])") }
                let box = [Int(number)..<Int(number) + 1] + rest
                guard stream.hasBoxes([[box]]) else { return try whole(stream, numbers, shape) }
                values += try stream.values([box])[0].cast(to: .f32).floats
            }
            return Tensor(values, [numbers.count] + shape.dropFirst())
        }
    }

    /// Embeddings of all images, prompt by prompt.
    private func features() throws(EvaluationError) -> [[Tensor]] {
        let images = prompts.flatMap(\.images)
        guard !images.isEmpty else { return prompts.map { _ in [] } }
        guard let vision = module.graph("vision") else { throw EvaluationError("the model has no entry vision") }
        var calls: [StreamedRun.Given] = []
        for image in images { calls.append(StreamedRun.Given(inputs: try Self.tensors(of: image.image.input, vision))) }
        var results = try StreamedRun(vision, constants(of: vision)).run(calls)[...]
        return prompts.map { prompt in
            defer { results = results.dropFirst(prompt.images.count) }
            return results.prefix(prompt.images.count).map { $0[0] }
        }
    }

    private static func tensors(of input: VisionInput, _ vision: Graph) throws(EvaluationError) -> [String: Tensor] {
        var inputs = try MaskedCall(bounds: input.segments.mapValues { $0.map(Int.init) }).matrices(of: vision)
        for wanted in vision.inputs where wanted.mask == nil {
            guard let tensor = input[wanted.name] else { throw EvaluationError("a picture has no tensor \(wanted.name)") }
            let rows = input.count(of: tensor.row), lines = tensor.lines > 1 ? [tensor.lines] : []
            let columns = tensor.values.count / max(rows * tensor.lines, 1)
            let shape = lines + [rows] + (vision.type(of: wanted.value).shape.rank > lines.count + 1 ? [columns] : [])
            inputs[wanted.name] = switch tensor.values {
            case .bytes(let bytes): Tensor(ints: bytes.map(Int32.init), shape, .u8)
            case .integers(let values): Tensor(ints: values, shape)
            case .floats(let values): Tensor(values, shape)
            }
        }
        return inputs
    }

    /// One call of `extend` for each prompt, whole and with a cache of its own.
    private func calls(_ extend: Graph, _ features: [[Tensor]]) throws(EvaluationError) -> [StreamedRun.Given] {
        var calls: [StreamedRun.Given] = []
        for (prompt, images) in zip(prompts, features) {
            let count = prompt.tokens.count
            let numbers = (0..<count).map(Int32.init)
            var inputs = [
                "ids": Tensor(ints: prompt.tokens, [count]), "positions": Tensor(ints: prompt.positions.ids, [prompt.positions.axes, count]),
                "slots": Tensor(ints: numbers, [count]), "sample_rows": Tensor(ints: [Int32(count - 1)], [1]),
                "state_slots": Tensor(ints: Array(repeating: 0, count: count), [count]), "ordinals": Tensor(ints: numbers, [count]),
                "adapters": Tensor(ints: Array(repeating: -1, count: count), [count]),
            ]
            inputs.merge(try MaskedCall(0..<count, slots: count, spans: prompt.spans).matrices(of: extend)) { given, _ in given }
            inputs.merge(embedded(prompt, images, extend)) { given, _ in given }
            let names = Set(extend.inputs.map(\.name))
            var states: [String: Tensor] = [:]
            for state in extend.states {
                let shape = extend.type(of: state.value).shape.values(["S": count, "R": 1]) ?? []
                states[state.name] = Tensor(Array(repeating: 0, count: shape.reduce(1, *)), shape, extend.type(of: state.value).element)
            }
            calls.append(StreamedRun.Given(inputs: inputs.filter { names.contains($0.key) }, states: states))
        }
        return calls
    }

    /// The rows that stand for images, and which token takes which.
    private func embedded(_ prompt: PreparedPrompt, _ images: [Tensor], _ extend: Graph) -> [String: Tensor] {
        guard let input = extend.input(named: "image_embeds"), let width = extend.type(of: input.value).shape.dims.last?.fixedValue else { return [:] }
        var rows = Array(repeating: Int32(-1), count: prompt.tokens.count)
        var next: Int32 = 0
        for image in prompt.images {
            for token in image.tokens.ranges.joined() {
                rows[token] = next
                next += 1
            }
        }
        let values = images.flatMap { $0.cast(to: .f32).floats }
        return ["image_rows": Tensor(ints: rows, [rows.count]), "image_embeds": Tensor(values, [values.count / max(width, 1), width])]
    }
}

/// Rows of a table that cannot be computed alone.
private func whole(_ stream: RecipeStream, _ numbers: [Int32], _ shape: [Int]) throws(EvaluationError) -> Tensor {
    let (values, width) = (try stream.values()[0].cast(to: .f32).floats, shape.dropFirst().reduce(1, *))
    return Tensor(numbers.flatMap { values[Int($0) * width..<(Int($0) + 1) * width] }, [numbers.count] + shape.dropFirst())
}
