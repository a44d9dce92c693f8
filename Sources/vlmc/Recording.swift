import Budgets
import CommandLineSupport
import Foundation
import HuggingFace
import Inputs
import JSON
import Plan
import Serving
import Tensors

/// What transformers computed, as the generator of references writes it.
struct Recording {
    private let directory: String
    private let tensors: SafetensorsFile
    private let facts: JSONValue
    let ids: [Int32]
    let newTokens: [Int32]

    init(_ directory: String) throws(Failure) {
        self.directory = directory
        tensors = try Failure.wrapping { () throws(CheckpointError) -> SafetensorsFile in
            try SafetensorsFile(path: "\(directory)/expected.safetensors")
        }
        facts = try Failure.wrapping { try JSONValue(parsing: try InputFile.read("\(directory)/expected.json")) }
        ids = Self.integers(tensors["inputs.input_ids"]) ?? Self.integers(facts["input_ids"])
        newTokens = Self.integers(tensors["new_tokens"]) ?? Self.integers(facts["new_tokens"])
        guard !ids.isEmpty else { throw Failure("\(directory): no input_ids are recorded") }
    }

    func floats(_ name: String) -> [Float]? {
        guard let tensor = tensors[name] else { return nil }
        return tensor.withBytes { bytes in
            guard tensor.type.element == .f32 else { return nil }
            return (0..<bytes.count / 4).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
        }
    }

    func integers(_ name: String) -> [Int32]? { Self.integers(tensors[name]) }

    /// Rows of the images' features, or with `prefix` those of the videos; a row goes on with what each of `deepstack_0`, `deepstack_1`, …
    /// adds in later layers.
    func features(_ prefix: String = "") -> [Float]? {
        let name = prefix.isEmpty ? "image_features" : "\(prefix)features"
        guard let first = floats(name) else { return nil }
        let parts = [first] + (0...).lazy.map { floats("\(prefix)deepstack_\($0)") }.prefix { $0 != nil }.compactMap { $0 }
        guard parts.count > 1, let width = tensors[name]?.type.shape.dims.last?.fixedValue,
            parts.allSatisfy({ $0.count == first.count })
        else { return first }
        return (0..<first.count / width).flatMap { row in parts.flatMap { $0[row * width..<(row + 1) * width] } }
    }

    /// The digest of pixels that are too many to be recorded.
    func digest(_ name: String) -> String? { facts["sha256"]?[name]?.stringValue }

    /// What `media` names, in the order of the prompt: an image, a list of frames, or a video file and which of its frames are read.
    private func media() throws -> [EncodedImage]? {
        func file(_ name: String) throws -> [UInt8] {
            try Failure.wrapping { () throws(FileError) in try InputFile.read("\(directory)/\(name)") }
        }
        return try facts["media"]?.arrayValue?.map { media in
            if let names = media["frames"]?.arrayValue?.compactMap(\.stringValue) {
                return EncodedImage(frames: try names.map { .bytes(try file($0)) }, place: names.joined(separator: " "))
            }
            guard let name = media["video"]?.stringValue else {
                let name = media["image"]?.stringValue ?? ""
                return EncodedImage(file: try file(name), place: name)
            }
            let sampling = try Failure.wrapping { () throws(PixelBoundsError) in
                try FrameSampling.Request(processorArguments: media.objectValue ?? JSONObject())
            }
            return EncodedImage(video: .bytes(try file(name)), sampling: sampling, place: name)
        }
    }

    /// The recorded prompt with its images, as the artifact reads it.
    func prepared(_ pipeline: InputPipeline) throws -> PreparedPrompt {
        guard let text = facts["prompt"]?.stringValue else { throw Failure("\(directory)/expected.json: there is no prompt") }
        var names = facts["images"]?.arrayValue?.compactMap(\.stringValue) ?? []
        if facts["images"] == nil, floats("image_features") != nil || floats("inputs.pixel_values") != nil { names = ["image.png"] }
        let images = try media() ?? names.map { name in
            EncodedImage(file: try Failure.wrapping { () throws(FileError) in try InputFile.read("\(directory)/\(name)") }, place: name)
        }
        return try WorkBudget.prepare { budget throws(InputError) in
            try pipeline.prepared(rendered: text, images: images, keepsPixels: true, budget: budget)
        }
    }

    private static func integers(_ tensor: TensorView?) -> [Int32]? {
        guard let tensor else { return nil }
        return tensor.withBytes { bytes in
            switch tensor.type.element {
            case .i64:
                (0..<bytes.count / 8).map { Int32(clamping: bytes.loadUnaligned(fromByteOffset: 8 * $0, as: Int64.self)) }
            case .i32: (0..<bytes.count / 4).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Int32.self) }
            default: nil
            }
        }
    }

    private static func integers(_ value: JSONValue?) -> [Int32] {
        value?.arrayValue?.compactMap { $0.intValue.map(Int32.init(clamping:)) } ?? []
    }
}
