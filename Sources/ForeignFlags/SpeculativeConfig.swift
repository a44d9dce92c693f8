internal import JSON

/// What vLLM's `--speculative-config` says, such as `{"method": "ngram", "num_speculative_tokens": 5, "prompt_lookup_max": 4}` or
/// `{"method": "eagle3", "model": "DIRECTORY", "num_speculative_tokens": 5}`, in our flags. Of the bounds of a lookup one that is left out is the other, and both are 5.
enum SpeculativeConfig {
    @Sendable static func words(_ text: String) throws(FlagError) -> [String] {
        guard let object = (try? JSONValue(parsing: Array(text.utf8)))?.objectValue else {
            throw FlagError("--speculative-config \(text) is no JSON object")
        }
        var numbers: [String: Int] = [:]
        var (isLookup, isDraft, model, head) = (false, false, String?.none, String?.none)
        for (key, value) in object {
            switch key {
            case "method":
                isLookup = isLookup || lookups.contains(value.stringValue ?? "")
                if let name = value.stringValue, heads.contains(name) { head = name }
                isDraft = value.stringValue == "draft_model" || head != nil
                guard isDraft || lookups.contains(value.stringValue ?? "") else { throw FlagError("--speculative-config: \(methods)") }
            case "model":
                guard let name = value.stringValue, !name.isEmpty else { throw FlagError("--speculative-config: model must be a string: that of a draft model, or \"ngram\"") }
                if lookups.contains(name) { isLookup = true } else { model = name }
            case "num_speculative_tokens", "prompt_lookup_max", "prompt_lookup_min", "draft_tensor_parallel_size":
                guard let number = value.intValue, number >= 1 else {
                    throw FlagError("--speculative-config: \(key) must be a whole number of at least 1")
                }
                numbers[key] = number
            default: throw FlagError("--speculative-config: \(key) is none of \(keys)")
            }
        }
        guard isLookup || isDraft || model != nil else { throw FlagError("--speculative-config needs \"method\": \"ngram\", or the \"model\" of a draft") }
        guard let count = numbers["num_speculative_tokens"] else { throw FlagError("--speculative-config needs num_speculative_tokens") }
        if let parts = numbers["draft_tensor_parallel_size"], parts > 1 { throw FlagError("--speculative-config: draft_tensor_parallel_size \(parts): models are not split") }
        guard isLookup, !isDraft else { return try draft(isLookup ? nil : model, head, count, numbers) }
        // vLLM takes the model's own name for a lookup as well.
        let most = numbers["prompt_lookup_max"] ?? numbers["prompt_lookup_min"] ?? 5
        let least = numbers["prompt_lookup_min"] ?? most
        return [
            "--speculative-model", "[ngram]", "--num-speculative-tokens", "\(count)", "--ngram-prompt-lookup-max", "\(most)",
            "--ngram-prompt-lookup-min", "\(least)",
        ]
    }

    private static func draft(_ model: String?, _ head: String?, _ count: Int, _ numbers: [String: Int]) throws(FlagError) -> [String] {
        guard let model else { throw FlagError("--speculative-config: method \(head ?? "draft_model") needs the \"model\" of a \(head == nil ? "draft" : "head")") }
        if let key = ["prompt_lookup_max", "prompt_lookup_min"].first(where: { numbers[$0] != nil }) {
            throw FlagError("--speculative-config: \(key) is of \"method\": \"ngram\"; \(model) is a draft model, which looks nothing up")
        }
        return ["--speculative-model", model] + (head.map { ["--speculative-method", $0] } ?? []) + ["--num-speculative-tokens", "\(count)"]
    }

    private static let lookups = ["ngram", "[ngram]"]
    private static let heads = ["eagle", "eagle3"]
    private static let methods = "method must be \"ngram\", \"draft_model\", \"eagle\" or \"eagle3\": other heads that read hidden states are not served"
    private static let keys = "method, model, num_speculative_tokens, prompt_lookup_max, prompt_lookup_min, draft_tensor_parallel_size"
}
