import Compiler
import Crypto
import Foundation
import HuggingFace
import Inputs
import JSON
import Models
import Plan
import Testing

/// How requests become inputs in every family, beside what transformers' processors and tokenizers make of them.
@Suite struct FamilyInputTests {
    /// A directory with `cases.json`: whole prompts, texts, and pictures of odd sizes.
    struct Cases {
        let directory: String
        let spec: InputSpec
        let tokenizer: Tokenizer
        let json: JSONValue

        /// Nil where the family's inputs are not there.
        init?(_ name: String) throws {
            directory = FamilyRecord.path(of: name)
            let files = try ModelDirectory(directory)
            tokenizer = try files.tokenizer()
            guard let spec = try? files.inputs(tokenizer) else { return nil }
            self.spec = spec
            json = try JSONValue(contentsOf: directory + "/cases.json")
        }

        func image(_ path: String) throws -> Image {
            try ImageDecoder().decode(Array(Data(contentsOf: URL(fileURLWithPath: "\(directory)/\(path)"))))
        }

        /// The picture of a case by its place in the prompt.
        func image(_ index: Int) throws -> Image {
            try image(index == 0 ? "image.png" : "\(json["images_dir"]?.stringValue ?? "")/\(json["second_image"]?.stringValue ?? "")")
        }

        func read(_ images: [Image]) throws -> [ReadPicture] {
            guard let picture = spec.picture else { return [] }
            return try images.map { try PictureReader(picture).read($0, isAlone: images.count == 1, keepsPixels: true) }
        }

        func ids(_ prompt: String, _ pictures: [ReadPicture]) throws -> [Int32] {
            let assembler = PromptAssembler(spec: spec) { try tokenizer.encode($0, addSpecialTokens: $1) }
            return try assembler.prepare(rendered: assembler.collapsed(prompt, pictures), pictures: pictures).inputIDs
        }
    }

    /// Prompts that are more than a template's text (PaliGemma's), and texts in which sentencepiece's own control pieces are typed.
    private static let isOther: @Sendable (String) -> Bool = { $0.hasPrefix("paligemma") || $0 == "internvl_chat_internlm2" }

    static let names = FamilyRecord.names.filter { FileManager.default.fileExists(atPath: FamilyRecord.path(of: $0) + "/cases.json") }

    static func digest(_ values: [Float]) -> String {
        values.withUnsafeBytes { SHA256.hash(data: $0).map { String(($0 >> 4), radix: 16) + String($0 & 15, radix: 16) }.joined() }
    }

    private static func integers(_ value: JSONValue?) -> [Int32] { value?.arrayValue?.compactMap { $0.intValue.map(Int32.init) } ?? [] }

    @Test(arguments: names.filter { !isOther($0) }) func promptsEqualTransformers(_ name: String) throws {
        guard let cases = try Cases(name) else { return }
        for (kind, expected) in cases.json["cases"]?.objectValue ?? [:] {
            let prompt = expected["prompt"]?.stringValue ?? ""
            let marker = cases.spec.picture?.prompt.marker ?? ""
            // What stands for a picture may be written out: then they are as many as the name of the case says.
            let written = kind.contains("text_only") ? 0 : kind.contains("images") ? 2 : 1
            let count = marker.isEmpty ? 0 : prompt.contains(marker) ? prompt.ranges(of: marker).count : written
            let pictures = try cases.read((0..<count).map { try cases.image($0) })
            #expect(try cases.ids(prompt, pictures) == Self.integers(expected["input_ids"]), "\(name), \(kind)")
            guard let digest = expected["sha256"]?["pixel_values"]?.stringValue, let picture = cases.spec.picture else { continue }
            #expect(Self.digest(picture.pixelValues(of: pictures).values) == digest, "pixels of \(name), \(kind)")
        }
        for text in cases.json["texts"]?.arrayValue ?? [] {
            let ids = try cases.tokenizer.encode(text["text"]?.stringValue ?? "", addSpecialTokens: true)
            #expect(ids == Self.integers(text["input_ids"]), "\(name): \(text["text"]?.stringValue ?? "")")
        }
    }

    @Test(arguments: names) func picturesOfOddSizesEqualTransformers(_ name: String) throws {
        guard let cases = try Cases(name), let picture = cases.spec.picture else { return }
        let folder = cases.json["images_dir"]?.stringValue ?? ""
        for (size, expected) in cases.json["preprocess"]?.objectValue ?? [:] where expected["error"] == nil {
            let image = try cases.image("\(folder)/\(size).png")
            let read = try cases.read([image])
            let pixels = picture.pixelValues(of: read)
            if let shape = expected["pixel_values"]?["shape"]?.arrayValue?.compactMap(\.intValue), shape.count == pixels.shape.count {
                #expect(pixels.shape == shape, "\(name), \(size)")
            }
            if let digest = expected["pixel_values"]?["sha256"]?.stringValue {
                #expect(Self.digest(pixels.values) == digest, "pixels of \(name), \(size)")
            }
            guard let prompt = cases.json["prompts"]?[size] else { continue }
            #expect(read[0].features.count == prompt["placeholders"]?.intValue, "features of \(name), \(size)")
        }
    }
}
