import IR
import JSON
import Models
import Plan
import Reference
import Tensors

/// A prompt of a record being computed by the entries `extend` and `decode`.
struct FamilySequence {
    let record: FamilyRecord
    let ids: [Int32]
    var states: [String: Tensor]
    var length = 0
    let slots: Int

    init(_ record: FamilyRecord, steps: Int) throws {
        self.record = record
        ids = record.recorded("inputs.input_ids")!.ints
        slots = ids.count + steps
        states = [:]
        guard let graph = record.module.graph("extend") else { return }
        // Of two sequences' states this one's are the second; what they hold before it begins must not matter.
        for state in graph.states {
            let shape = graph.type(of: state.value).shape.values(["S": slots, "R": 2]) ?? []
            states[state.name] = Tensor(Array(repeating: 7, count: shape.reduce(1, *)), shape)
        }
    }

    /// For each token the row of the features that stands for it, else −1.
    private var imageRows: [Int32] {
        var next: Int32 = -1
        return ids.indices.map { index in
            guard isImage(index) else { return -1 }
            next += 1
            return next
        }
    }

    private func isImage(_ index: Int) -> Bool {
        if let bounds = record.recorded("image_bound")?.ints {
            return stride(from: 0, to: bounds.count, by: 2).contains { (Int(bounds[$0])..<Int(bounds[$0 + 1])).contains(index) }
        }
        if let start = record.json["visual"]?["image_start_id"]?.intValue {
            guard let opening = ids.firstIndex(of: Int32(start)), let closing = ids.firstIndex(of: Int32(start + 1)) else { return false }
            return index > opening && index < closing
        }
        let token = ["image_token_id", "image_token_index"].lazy.compactMap { record.json[$0]?.intValue }.first
        if record.modelType == "internvl_chat" { return ids[index] == (record.expectedImageToken ?? -1) }
        return ids[index] < 0 || token.map(Int32.init) == ids[index]
    }

    /// Rows of the `positions` input for some tokens.
    private func positions(_ range: Range<Int>) -> Tensor {
        let axes = record.definition.geometry.positionAxes
        if let recorded = record.recorded("position_ids")?.ints, let delta = record.recorded("rope_deltas")?.ints.first {
            let values = (0..<3).flatMap { axis in
                range.map { $0 < ids.count ? recorded[axis * ids.count + $0] : Int32($0) + delta }
            }
            return Tensor(ints: values, [3, range.count])
        }
        let start = record.modelType == "paligemma" ? 1 : 0
        let used = record.positionAxis(tokens: ids.count)
        return Tensor(ints: (0..<axes).flatMap { axis in range.map { axis == used ? Int32($0 + start) : 0 } }, [axes, range.count])
    }

    /// The masks of an entry for some tokens.
    private func masks(_ entry: String, _ range: Range<Int>) throws -> [String: Tensor] {
        guard let graph = record.module.graph(entry) else { return [:] }
        return try MaskedCall(range, slots: slots, spans: spans()).matrices(of: graph)
    }

    /// The tokens of the prompt that see each other.
    private func spans() -> [Range<Int>] {
        guard case .success(let spec) = record.spec else { return [] }
        switch spec.spans {
        case .none: return []
        case .prompt: return [0..<ids.count]
        case .images:
            return ids.indices.filter(isImage).reduce(into: [Range<Int>]()) { spans, index in
                if let last = spans.last, last.upperBound == index {
                    spans[spans.count - 1] = last.lowerBound..<index + 1
                } else {
                    spans.append(index..<index + 1)
                }
            }
        }
    }

    /// Where states are kept, for some tokens.
    private func places(_ range: Range<Int>) -> [String: Tensor] {
        let slots = Tensor(ints: Array(repeating: 1, count: range.count), [range.count])
        return ["state_slots": slots, "ordinals": Tensor(ints: range.map(Int32.init), [range.count])]
    }

    private func given(_ entry: String, _ inputs: [String: Tensor]) -> [String: Tensor] {
        let names = Set(record.module.graph(entry)?.inputs.map(\.name) ?? [])
        return inputs.filter { names.contains($0.key) }
    }

    /// Adds tokens of the prompt; returns the logits of each of them.
    mutating func extend(_ range: Range<Int>, images: Tensor?) throws -> Tensor {
        let count = range.count
        let rows = imageRows
        var inputs = [
            "ids": Tensor(ints: ids[range].map { max($0, 0) }, [count]), "image_rows": Tensor(ints: Array(rows[range]), [count]),
            "positions": positions(range), "slots": Tensor(ints: range.map(Int32.init), [count]),
            "sample_rows": Tensor(ints: (0..<count).map(Int32.init), [count]),
        ]
        let width = record.module.graph("extend")?.inputs.first { $0.name == "image_embeds" }
            .flatMap { record.module.graph("extend")?.type(of: $0.value).shape.dims.last?.fixedValue }
        inputs["image_embeds"] = images ?? Tensor([], [0, width ?? 0])
        inputs.merge(try masks("extend", range).merging(places(range)) { first, _ in first }) { first, _ in first }
        let outcome = try record.run("extend", given("extend", inputs), states: states)
        states = outcome.states
        length = range.upperBound
        return outcome.results[0]
    }

    /// Adds one token by the `decode` entry; returns its logits.
    mutating func decode(_ token: Int32) throws -> Tensor {
        let range = length..<length + 1
        var inputs = ["ids": Tensor(ints: [token], [1]), "positions": positions(range), "slots": Tensor(ints: [Int32(length)], [1])]
        inputs.merge(try masks("decode", range).merging(places(range)) { first, _ in first }) { first, _ in first }
        let outcome = try record.run("decode", given("decode", inputs), states: states)
        states = outcome.states
        length += 1
        return outcome.results[0]
    }
}

extension FamilyRecord {
    /// The image token of a prompt whose configuration names none: that which occurs most often.
    var expectedImageToken: Int32? {
        let ids = recorded("inputs.input_ids")?.ints ?? []
        return Dictionary(grouping: ids) { $0 }.max { $0.value.count < $1.value.count }?.key
    }

    /// The axis on which the positions of a prompt stand, of those that are there for prompts of several lengths.
    func positionAxis(tokens: Int) -> Int {
        if modelType == "qwen", let length = json["seq_length"]?.intValue {
            var (axis, longest) = (0, length)
            while tokens > longest { (axis, longest) = (axis + 1, 2 * longest) }
            return axis
        }
        guard definition.geometry.positionAxes == 2, let original = json["original_max_position_embeddings"]?.intValue else { return 0 }
        return tokens > original ? 1 : 0
    }
}
