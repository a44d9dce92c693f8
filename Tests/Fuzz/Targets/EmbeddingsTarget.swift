import Foundation
import JSON
import Seeded

extension FuzzTarget {
    /// Headers of safetensors files with a row of four numbers, each sent to a chat in place of an image.
    static let embeddings = FuzzTarget("embeddings") { dice, corpus in
        JSONText.changed(dice.pick(corpus) ?? [], &dice, corpus: corpus, words: embeddingsWords)
    } check: { input in
        let file = SafetensorsBytes.length(input.count) + input + [UInt8](repeating: 0, count: 16)
        let image: JSONValue = ["type": "image_embeds", "image_embeds": .string(Data(file).base64EncodedString()), "image_grid_thw": [1, 2, 2]]
        let body: JSONValue = ["model": "m", "max_tokens": 1, "messages": [["role": "user", "content": [image]]]]
        try answered(Array(body.serializedText.utf8), at: "/v1/chat/completions")
    }

    private static let embeddingsWords = [
        "dtype", "shape", "data_offsets", "__metadata__", "F32", "BF16", "F16", "F64", "[0,16]", "[16,0]", "[-4,12]", "9223372036854775807",
        "-9223372036854775808", "[1,-9223372036854775808]", "[4294967296,4294967296]", "[0]", "{}", "null", "1e9", "4.0",
    ]
}
