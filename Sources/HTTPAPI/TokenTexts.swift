internal import JSON
internal import Serving

/// Writes tokens and their log probabilities as OpenAI does.
struct TokenTexts: Sendable {
    let bytes: @Sendable (Int32) -> [UInt8]

    /// The token's text; bytes that are no whole characters are spelled as `\x` and two digits, all of the token's.
    func text(_ token: Int32) -> String {
        let bytes = bytes(token)
        return String(validating: bytes, as: UTF8.self) ?? bytes.map(Self.escaped).joined()
    }

    private static func escaped(_ byte: UInt8) -> String {
        let digits = String(byte, radix: 16)
        return "\\x" + (digits.count == 1 ? "0" : "") + digits
    }

    /// `logprobs` of a chat's choice.
    func chat(_ tokens: [TokenChoice]) -> JSONValue {
        let content = tokens.map { choice -> JSONValue in
            var entry = entry(choice.chosen)
            entry["top_logprobs"] = .array(choice.likeliest.map { .object(self.entry($0)) })
            return .object(entry)
        }
        return ["content": .array(content), "refusal": nil]
    }

    private func entry(_ token: TokenLogprob) -> JSONObject {
        var entry = JSONObject()
        entry["token"] = .string(text(token.token))
        entry["logprob"] = .double(Double(token.logprob))
        entry["bytes"] = .array(bytes(token.token).map { .int(Int($0)) })
        return entry
    }

    /// `prompt_logprobs` of a prompt: null for its first token, then by token its own log probability and those of the `count` likeliest.
    func prompt(_ tokens: [PromptToken], count: Int) -> JSONValue {
        let entries = tokens.map { told -> JSONValue in
            let (chosen, likeliest) = (told.choice.chosen, told.choice.likeliest.prefix(count))
            let place = likeliest.firstIndex { $0.token == chosen.token }
            var entry = JSONObject()
            entry["\(chosen.token)"] = ranked(chosen, place.map { $0 + 1 } ?? told.rank)
            for (place, other) in likeliest.enumerated() where other.token != chosen.token { entry["\(other.token)"] = ranked(other, place + 1) }
            return .object(entry)
        }
        return .array([.null] + entries)
    }

    private func ranked(_ token: TokenLogprob, _ rank: Int) -> JSONValue {
        ["logprob": .double(Double(token.logprob)), "rank": .int(rank), "decoded_token": .string(text(token.token))]
    }

    /// Where a text stands behind some of its tokens.
    struct Offset: Sendable {
        /// Whole characters, as Unicode scalars.
        private(set) var characters = 0
        /// Bytes that begin a character.
        private var rest: [UInt8] = []

        mutating func go(behind bytes: [UInt8]) {
            let all = rest + bytes
            let begun = Self.begun(all)
            characters += String(decoding: all.dropLast(begun), as: UTF8.self).unicodeScalars.count
            rest = Array(all.suffix(begun))
        }

        /// How many bytes at the end begin a character that has more.
        private static func begun(_ bytes: [UInt8]) -> Int {
            for count in 1...3 where count <= bytes.count {
                let byte = bytes[bytes.count - count]
                if byte & 0xC0 == 0x80 { continue }
                let length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1
                return length > count ? count : 0
            }
            return 0
        }
    }

    /// `logprobs` of a completion's choice; `offset` goes on by the tokens' own. A token that begins within a character stands where that does.
    ///
    /// - Parameter first: a token before them that has no log probability.
    func completion(_ tokens: [TokenChoice], first: Int32? = nil, offset: inout Offset) -> JSONValue {
        var (offsets, logprobs, texts, likeliest): ([JSONValue], [JSONValue], [JSONValue], [JSONValue]) = ([], [], [], [])
        if let first {
            let text = text(first)
            (offsets, logprobs, texts, likeliest) = ([.int(offset.characters)], [.null], [.string(text)], [.null])
            offset.go(behind: bytes(first))
        }
        for choice in tokens {
            let text = text(choice.chosen.token)
            offsets.append(.int(offset.characters))
            offset.go(behind: bytes(choice.chosen.token))
            logprobs.append(.double(Double(choice.chosen.logprob)))
            texts.append(.string(text))
            var others = JSONObject()
            // The chosen one is always there; of several that look alike, the likeliest.
            for other in choice.likeliest + [choice.chosen] {
                let name = self.text(other.token)
                if others[name] == nil { others[name] = .double(Double(other.logprob)) }
            }
            likeliest.append(.object(others))
        }
        return [
            "text_offset": .array(offsets), "token_logprobs": .array(logprobs), "tokens": .array(texts), "top_logprobs": .array(likeliest),
        ]
    }
}
