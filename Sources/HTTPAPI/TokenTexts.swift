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

    /// `logprobs` of a completion's choice; `offset`, in Unicode scalars of the text, goes on by the tokens' own.
    func completion(_ tokens: [TokenChoice], offset: inout Int) -> JSONValue {
        var (offsets, logprobs, texts, likeliest): ([JSONValue], [JSONValue], [JSONValue], [JSONValue]) = ([], [], [], [])
        for choice in tokens {
            let text = text(choice.chosen.token)
            offsets.append(.int(offset))
            offset += text.unicodeScalars.count
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
