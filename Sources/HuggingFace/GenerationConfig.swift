internal import JSON

/// What `generation_config.json` says about decoding; nil where it is silent.
package struct GenerationConfig: Sendable, Hashable {
    /// Tokens that end an answer; where the file is silent, those of `config.json`.
    package var eosTokenIDs: [Int] = []
    /// Whether sampling is the default; where false, decoding is greedy whatever the temperature.
    package var doSample: Bool?
    package var temperature: Double?
    package var topP: Double?
    /// 0 and -1 mean all tokens.
    package var topK: Int?
    package var minP: Double?
    package var repetitionPenalty: Double?
    package var maxNewTokens: Int?

    init(_ json: JSONValue?, file: String, config: ConfigSection) throws(CheckpointError) {
        let generation = try ConfigSection(json ?? [:], file: file)
        let text = try config.section("text_config") ?? config
        eosTokenIDs = try Self.tokens("eos_token_id", [generation, config, text])
        doSample = try generation.bool("do_sample")
        temperature = try Self.number("temperature", generation) { $0 >= 0 }
        topP = try Self.number("top_p", generation) { $0 > 0 && $0 <= 1 }
        minP = try Self.number("min_p", generation) { $0 >= 0 && $0 <= 1 }
        repetitionPenalty = try Self.number("repetition_penalty", generation) { $0 > 0 }
        topK = try Self.count("top_k", generation, from: -1)
        maxNewTokens = try Self.count("max_new_tokens", generation, from: 0)
    }

    /// The token ids under a key of the first section that has it.
    private static func tokens(_ key: String, _ sections: [ConfigSection]) throws(CheckpointError) -> [Int] {
        for section in sections {
            guard let ids = try section.ints(key) else { continue }
            for id in ids where id < 0 || id > Int(Int32.max) { throw section.error(key, "is \(id), which is no token id") }
            return ids
        }
        return []
    }

    private static func count(_ key: String, _ section: ConfigSection, from least: Int) throws(CheckpointError) -> Int? {
        guard let number = try section.int(key) else { return nil }
        guard (least...Int(Int32.max)).contains(number) else { throw section.error(key, "is \(number), which cannot be") }
        return number
    }

    private static func number(_ key: String, _ section: ConfigSection, _ valid: (Double) -> Bool) throws(CheckpointError) -> Double? {
        guard let number = try section.double(key) else { return nil }
        guard number.isFinite, valid(number) else { throw section.error(key, "is \(number), which cannot be") }
        return number
    }
}
