internal import JSON

/// What vLLM's `--speculative-config` says, such as `{"method": "ngram", "num_speculative_tokens": 5, "prompt_lookup_max": 4}`, in our flags. Of the bounds
/// of a lookup one that is left out is the other, and both are 5.
enum SpeculativeConfig {
    @Sendable static func words(_ text: String) throws(FlagError) -> [String] {
        guard let object = (try? JSONValue(parsing: Array(text.utf8)))?.objectValue else {
            throw FlagError("--speculative-config \(text) is no JSON object")
        }
        var numbers: [String: Int] = [:]
        var isLookup = false
        for (key, value) in object {
            switch key {
            case "method", "model":
                guard ["ngram", "[ngram]"].contains(value.stringValue) else {
                    throw FlagError("--speculative-config: \(key) must be \"ngram\": neither draft models nor EAGLE heads are served")
                }
                isLookup = true
            case "num_speculative_tokens", "prompt_lookup_max", "prompt_lookup_min":
                guard let number = value.intValue, number >= 1 else {
                    throw FlagError("--speculative-config: \(key) must be a whole number of at least 1")
                }
                numbers[key] = number
            default:
                throw FlagError(
                    "--speculative-config: \(key) is none of method, model, num_speculative_tokens, prompt_lookup_max, prompt_lookup_min")
            }
        }
        guard isLookup else { throw FlagError("--speculative-config needs \"method\": \"ngram\"") }
        guard let count = numbers["num_speculative_tokens"] else { throw FlagError("--speculative-config needs num_speculative_tokens") }
        let most = numbers["prompt_lookup_max"] ?? numbers["prompt_lookup_min"] ?? 5
        let least = numbers["prompt_lookup_min"] ?? most
        return [
            "--speculative-model", "[ngram]", "--num-speculative-tokens", "\(count)", "--ngram-prompt-lookup-max", "\(most)",
            "--ngram-prompt-lookup-min", "\(least)",
        ]
    }
}
