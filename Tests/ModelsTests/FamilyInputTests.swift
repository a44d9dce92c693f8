import Budgets
import ChatTemplates
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
    /// A directory with `cases.json`: whole prompts, texts, and images of odd sizes.
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
            try ImageDecoder(spec.image).decode(Array(Data(contentsOf: URL(fileURLWithPath: "\(directory)/\(path)"))))
        }

        /// The image of a case by its place in the prompt.
        func image(_ index: Int) throws -> Image {
            try image(index == 0 ? "image.png" : "\(json["images_dir"]?.stringValue ?? "")/\(json["second_image"]?.stringValue ?? "")")
        }

        func read(_ images: [Image]) throws -> [ReadImage] {
            guard let image = spec.image else { return [] }
            return try ImageReader(image).readAll(images)
        }

        func ids(_ prompt: String, _ images: [ReadImage]) throws -> [Int32] {
            let assembler = PromptAssembler(spec: spec) { try tokenizer.encode($0, addSpecialTokens: $1) }
            return try assembler.prepare(rendered: assembler.collapsed(prompt, images), images: images).inputIDs
        }
    }

    static let names = FamilyRecord.names.filter { FileManager.default.fileExists(atPath: FamilyRecord.path(of: $0) + "/cases.json") }

    static func digest(_ values: [Float]) -> String {
        values.withUnsafeBytes { SHA256.hash(data: $0).map { String(($0 >> 4), radix: 16) + String($0 & 15, radix: 16) }.joined() }
    }

    private static func integers(_ value: JSONValue?) -> [Int32] { value?.arrayValue?.compactMap { $0.intValue.map(Int32.init) } ?? [] }

    @Test(arguments: names) func promptsEqualTransformers(_ name: String) throws {
        guard let cases = try Cases(name) else { return }
        for (kind, expected) in cases.json["cases"]?.objectValue ?? [:] {
            let prompt = expected["prompt"]?.stringValue ?? ""
            let marker = cases.spec.image?.prompt.marker ?? ""
            // What stands for an image may be written out: then they are as many as the name of the case says.
            let written = kind.contains("text_only") ? 0 : kind.contains("images") ? 2 : 1
            let count = marker.isEmpty ? 0 : prompt.contains(marker) ? prompt.ranges(of: marker).count : written
            let images = try cases.read((0..<count).map { try cases.image($0) })
            #expect(try cases.ids(prompt, images) == Self.integers(expected["input_ids"]), "\(name), \(kind)")
            guard let digest = expected["sha256"]?["pixel_values"]?.stringValue, let image = cases.spec.image else { continue }
            #expect(Self.digest(image.pixelValues(of: images).values) == digest, "pixels of \(name), \(kind)")
        }
        for text in cases.json["texts"]?.arrayValue ?? [] {
            let ids = try cases.tokenizer.encode(text["text"]?.stringValue ?? "", addSpecialTokens: true)
            #expect(ids == Self.integers(text["input_ids"]), "\(name): \(text["text"]?.stringValue ?? "")")
        }
    }

    /// The conversation of `Tests/Oracle/families/cases.py` that has this name, and which of its images are in it.
    private static func conversation(_ name: String, seesImages: Bool) -> (messages: JSONValue, images: [Int])? {
        let (first, second): (JSONValue, JSONValue) = (
            ["type": "image", "image": "assets/image.png"], ["type": "image", "image": "assets/image2.png"]
        )
        func text(_ text: String) -> JSONValue { ["type": "text", "text": .string(text)] }
        func turns(_ contents: [JSONValue]...) -> JSONValue {
            .array(contents.enumerated().map { ["role": $0.offset % 2 == 0 ? "user" : "assistant", "content": .array($0.element)] })
        }
        switch name {
        case "text_only": return (turns([text("Hello, naïve 42!")]), [])
        case "two_images": return (turns([first, second, text("Both?")]), [0, 1])
        case "multi_turn":
            let question = seesImages ? [first, text("One?")] : [text("One?")]
            return (turns(question, [text("A café, 7.")], [text("And now?")]), seesImages ? [0] : [])
        case "text_first": return (turns([text("Look at this: "), first]), [0])
        case "two_turns_with_images": return (turns([first, text("One?")], [text("Yes.")], [second, text("Two?")]), [0, 1])
        default: return nil
        }
    }

    @Test(arguments: names) func conversationsEqualTransformers(_ name: String) throws {
        guard let cases = try Cases(name), let found = try ModelDirectory(cases.directory).foundTemplate() else { return }
        let template = try ChatTemplate(source: found.source)
        func render(_ messages: JSONValue) throws -> String {
            try template.render(cases.spec.templateContext(messages: messages), budget: .generous())
        }
        let forms = MessageForms(render: render)
        let assembler = PromptAssembler(spec: cases.spec) { try cases.tokenizer.encode($0, addSpecialTokens: $1) }
        func check(_ messages: JSONValue, _ images: [Image], _ expected: JSONValue, _ place: String) throws {
            let rendered = try render(forms.adapted(messages, cases.spec.image?.prompt))
            let prompt = try assembler.prepare(rendered: rendered, images: cases.read(images))
            #expect(prompt.inputIDs == Self.integers(expected["input_ids"]), "\(name), \(place): \(rendered)")
        }
        for (kind, expected) in cases.json["cases"]?.objectValue ?? [:] {
            guard let (messages, images) = Self.conversation(kind, seesImages: cases.spec.image != nil) else { continue }
            try check(messages, images.map { try cases.image($0) }, expected, kind)
        }
        let short: JSONValue = [["role": "user", "content": [
            ["type": "image", "image": "assets/image.png"], ["type": "text", "text": cases.json["size_prompt"] ?? ""],
        ]]]
        let folder = cases.json["images_dir"]?.stringValue ?? ""
        for (size, expected) in cases.json["prompts"]?.objectValue ?? [:] where expected["error"] == nil {
            try check(short, [cases.image("\(folder)/\(size).png")], expected, size)
        }
    }

    @Test(arguments: names) func imagesOfOddSizesEqualTransformers(_ name: String) throws {
        guard let cases = try Cases(name), let image = cases.spec.image else { return }
        let folder = cases.json["images_dir"]?.stringValue ?? ""
        for (size, expected) in cases.json["preprocess"]?.objectValue ?? [:] where expected["error"] == nil {
            let image = try cases.image("\(folder)/\(size).png")
            let read = try cases.read([image])
            let pixels = image.pixelValues(of: read)
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

    /// Families whose own code calls Pillow's `convert("RGB")`; transformers' processors lay transparent images on white.
    private static let dropping = ["internvl_chat", "minicpmv_2", "phi3_v", "qwen_vl"]

    @Test(arguments: names) func transparentImagesBecomeOpaqueAsInTransformers(_ name: String) throws {
        guard let image = try Cases(name)?.spec.image else { return }
        #expect(image.dropsAlpha == Self.dropping.contains { name.hasPrefix($0) }, "\(name)")
    }

    /// `Gemma3Processor` overrules the file by its own default.
    @Test func panAndScanIsOffWhateverTheFileSays() throws {
        let (original, copy) = (FamilyRecord.path(of: "gemma3"), FileManager.default.temporaryDirectory.path + "/vlm-\(UUID().uuidString)")
        try FileManager.default.createDirectory(atPath: copy, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: copy) }
        for file in ["config.json", "processor_config.json", "tokenizer.json", "tokenizer_config.json"] {
            var text = try String(contentsOfFile: "\(original)/\(file)", encoding: .utf8)
            text.replace("\"do_resize\": true", with: "\"do_resize\": true, \"do_pan_and_scan\": true")
            #expect(file != "processor_config.json" || text.contains("do_pan_and_scan"))
            try text.write(toFile: "\(copy)/\(file)", atomically: true, encoding: .utf8)
        }
        let (expected, found) = (try ModelDirectory(original), try ModelDirectory(copy))
        #expect(try found.inputs(found.tokenizer()).image == expected.inputs(expected.tokenizer()).image)
    }
}
