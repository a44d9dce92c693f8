import Foundation
import Inputs
import JSON

/// Reads the files that `make_text_fixtures.py` wrote.
enum TextFixture {
    static func bytes(_ path: String) throws -> [UInt8] {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Fixtures")
        return Array(try Data(contentsOf: folder.appendingPathComponent(path)))
    }

    static func text(_ path: String) throws -> String {
        String(decoding: try bytes(path), as: UTF8.self)
    }

    static func json(_ path: String) throws -> JSONValue {
        try JSONValue(parsing: try bytes(path))
    }

    static func tokenizer(_ name: String) throws -> Tokenizer {
        try Tokenizer(json: name == "qwen2" ? try qwen2() : try bytes("tokenizer/\(name).json"))
    }

    /// The `tokenizer.json` of Qwen2: bytes are ids 0–255, each merge makes the next id.
    private static func qwen2() throws -> [UInt8] {
        let packed = try bytes("tokenizer/qwen2.merges")
        func id(_ index: Int) -> Int { (0..<3).reduce(0) { $0 | Int(packed[index * 3 + $1]) << (8 * $1) } }
        var tokens = qwen2Bytes
        var vocabulary = JSONObject()
        var merges: [JSONValue] = []
        for rank in 0..<packed.count / 6 {
            let (left, right) = (tokens[id(rank * 2)], tokens[id(rank * 2 + 1)])
            merges.append([.string(left), .string(right)])
            tokens.append(left + right)
        }
        for (id, token) in tokens.enumerated() { vocabulary[token] = .int(id) }
        var document = try json("tokenizer/demo.json")
        var object = document.objectValue ?? JSONObject()
        var model = object["model"]?.objectValue ?? JSONObject()
        model["vocab"] = .object(vocabulary)
        model["merges"] = .array(merges)
        object["model"] = .object(model)
        object["added_tokens"] = .array(
            qwen2Specials.enumerated().map { index, content in
                ["id": .int(tokens.count + index), "content": .string(content), "special": true, "normalized": false]
            })
        document = .object(object)
        return document.serialized
    }

    /// The characters of the byte alphabet in order of their code points: printable bytes first.
    private static let qwen2Bytes: [String] = {
        let printable = Array(0x21...0x7E) + Array(0xA1...0xAC) + Array(0xAE...0xFF) + Array(0x100..<0x144)
        return printable.compactMap { Unicode.Scalar($0).map { String($0) } }
    }()

    private static let qwen2Specials = [
        "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
        "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
        "<|image_pad|>", "<|video_pad|>",
    ]
}
