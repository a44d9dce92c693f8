import HuggingFace

/// Which known families are of the line of an unknown one, and what sets it apart.
struct Relatives {
    /// Sentences without their full stops.
    let remarks: [String]

    init(of config: ModelConfig, among families: [any ModelDefinition.Type]) {
        let name = config.architectures.first ?? config.modelType ?? ""
        var remarks: [String] = []
        let byType = families.filter { family in config.modelType.map { family.modelTypes.contains($0) } ?? false }
        if let type = config.modelType, !config.architectures.isEmpty, !byType.isEmpty {
            let known = Set(byType.flatMap { $0.architectures }).sorted()
            remarks.append("Its model_type \(type) is that of \(known.joined(separator: ", "))")
        } else {
            let spellings = config.architectures.isEmpty ? families.flatMap { $0.modelTypes } : families.flatMap { $0.architectures }
            let nearest = Self.nearest(to: name, among: spellings)
            if !nearest.isEmpty { remarks.append("Of the same line \(nearest.count == 1 ? "is" : "are") \(nearest.joined(separator: ", "))") }
        }
        let words = Self.words(name).map { $0.lowercased() }
        for (signs, remark) in Self.traits where !signs.isDisjoint(with: words) { remarks.append(remark) }
        if let task = Self.task(name), !["ConditionalGeneration", "CausalLM"].contains(task) {
            remarks.append("It is made for \(task), and only models that write text are compiled")
        } else if name.hasSuffix("Model"), !name.hasSuffix("LMHeadModel"), !name.hasSuffix("ChatModel") {
            remarks.append("It names a model without the layer that scores tokens; only models that write text are compiled")
        }
        self.remarks = remarks
    }

    /// What is in no family, by the words that tell it.
    private static let traits: [(signs: Set<String>, remark: String)] = [
        (["moe", "mixtral"], "Mixtures of experts are not supported"),
        (["audio", "omni", "asr", "speech", "tts"], "Sound is neither read nor written"),
    ]

    /// The known spellings that share most with a name's beginning, else those of the same brand; none where there is no likeness.
    static func nearest(to name: String, among known: [String]) -> [String] {
        let own = beginnings(of: name)
        let scores = Set(known).sorted().map { spelling in (spelling, own.intersection(beginnings(of: spelling)).map(\.count).max() ?? 0) }
        let best = scores.map(\.1).max() ?? 0
        if best > 0 { return scores.filter { $0.1 == best }.map(\.0) }
        let lowered = name.lowercased()
        guard let brand = brands.first(where: { lowered.contains($0.sign) })?.begins else { return [] }
        return scores.map(\.0).filter { $0.lowercased().hasPrefix(brand) }
    }

    /// How names of a line begin, by what stands somewhere in other names of it.
    private static let brands: [(sign: String, begins: String)] = [
        ("llava", "llava"), ("internvl", "internvl"), ("internlm", "internlm"), ("minicpm", "minicpm"), ("paddleocr", "paddleocr"),
        ("qwen", "qwen"), ("gemma", "gemma"), ("ministral", "mistral"), ("mixtral", "mistral"), ("mllama", "llama"),
    ]

    /// Words with which names of several lines begin.
    private static let common: Set<String> = ["auto", "deep", "mini", "multi", "open", "vision"]

    /// What a name begins with, up to each end of a word, in small letters.
    private static func beginnings(of name: String) -> Set<String> {
        var result: Set<String> = []
        var start = ""
        for word in words(stem(of: name)) {
            start += word.lowercased()
            if start.count >= 3, !common.contains(start) { result.insert(start) }
        }
        for brand in brands where start.hasPrefix(brand.begins) { result.insert(brand.begins) }
        return result
    }

    /// What a class is made for: `CausalLM` of `LlamaForCausalLM`.
    private static func task(_ name: String) -> String? {
        name.ranges(of: "For").last.map { String(name[$0.upperBound...]) }.flatMap { $0.first?.isUppercase == true ? $0 : nil }
    }

    private static func stem(of name: String) -> String {
        if let task = task(name) { return String(name.dropLast(task.count + 3)) }
        let end = ["LMHeadModel", "ChatModel", "Model"].first { name.hasSuffix($0) } ?? ""
        return String(name.dropLast(end.count))
    }

    /// The words and numbers of a name in capitals and small letters: `Qwen`, `2`, `5`, `VL` of `Qwen2_5_VL`.
    private static func words(_ name: String) -> [String] {
        name.matches(of: /[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+/).map { String($0.0) }
    }
}
