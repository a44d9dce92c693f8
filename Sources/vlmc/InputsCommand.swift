import ArgumentParser
import Budgets
import CommandLineSupport
import Foundation
import HuggingFace
import Inputs
import JSON
import ModelRuntime
import Plan
import Serving
import Tensors
import VideoDecoding

struct InputsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inputs",
        abstract: "Write what the model would be given for a conversation, as HuggingFace names and shapes it.",
        discussion: """
            Writes input_ids i64[1, T], position_ids i64[3, 1, T] (one row where positions have one axis) and pixel_values f32 in \
            the shape of the model's processor to a safetensors file, with image_grid_thw i64[N, 3] for the Qwen line and \
            image_sizes i64[N, 2] (height, width) for LLaVA-NeXT, LLaVA-OneVision, Pixtral and Phi-3-vision: the same code that \
            serves requests. Masks are left out: nothing is padded. An image is {"type": "image", "image": "PATH"} or \
            OpenAI's {"type": "image_url", "image_url": {"url": "data:…"}}; paths are relative to the messages' file. A video is \
            {"type": "video", "video": "PATH"}, or a list of the paths of its frames, with fps or num_frames beside it; it becomes \
            pixel_values_videos and video_grid_thw i64[N, 3]. Needs no weights.
            """)

    @Argument(help: "A model directory, or an artifact: its directory, the beginning of its key, or its model's name.")
    var model: String

    @Option(help: "JSON file: a list of messages, or an object with messages and what else the template may see.")
    var messages: String

    @Option(name: .shortAndLong, help: "Safetensors file to write.")
    var output: String

    @OptionGroup var store: StoreOption

    func run() throws {
        let inputs = try Sources.inputs(try store.source(model))
        let document = try Sources.json(messages)
        let conversation = try Conversation(document, relativeTo: URL(fileURLWithPath: messages).deletingLastPathComponent())
        let media = try conversation.media()
        var pipeline = inputs.pipeline()
        if let decoder = FrameProgram.sibling() { pipeline.videoDecoder = decoder }
        let prompt = try WorkBudget.prepare { [pipeline] budget throws(InputError) in
            try pipeline.prepared(
                messages: .array(conversation.messages), form: PromptForm(extra: conversation.extra), images: media, keepsPixels: true, budget: budget)
        }
        try Failure.wrapping { try write(prompt, inputs.spec) }
    }

    private func write(_ prompt: PreparedPrompt, _ spec: InputSpec) throws {
        let count = prompt.inputIDs.count
        var writer = SafetensorsWriter()
        writer.add("input_ids", .i64, shape: [1, count], prompt.inputIDs.map(Int64.init))
        let positions = prompt.positions.ids.map(Int64.init)
        writer.add("position_ids", .i64, shape: [prompt.positions.axes, 1, count], positions)
        let media = prompt.images.map(\.image)
        let (images, videos) = (media.filter { !$0.isVideo }, media.filter(\.isVideo))
        if !images.isEmpty, let image = spec.image {
            let pixels = image.pixelValues(of: images)
            writer.add("pixel_values", .f32, shape: pixels.shape, pixels.values)
            if [.patches, .rasterPatches].contains(image.pixels.form) {
                writer.add("image_grid_thw", .i64, shape: [images.count, 3], images.flatMap { $0.grid.map(Int64.init) })
            }
            let sizes = images.compactMap { image.namedSize(of: $0.layout) }.flatMap { [Int64($0.height), Int64($0.width)] }
            if !sizes.isEmpty { writer.add("image_sizes", .i64, shape: [images.count, 2], sizes) }
        }
        if !videos.isEmpty, let video = spec.video?.frames {
            let pixels = video.pixelValues(of: videos)
            writer.add("pixel_values_videos", .f32, shape: pixels.shape, pixels.values)
            if [.patches, .rasterPatches].contains(video.pixels.form) {
                writer.add("video_grid_thw", .i64, shape: [videos.count, 3], videos.flatMap { $0.grid.map(Int64.init) })
            }
        }
        try writer.write(to: output)
    }
}

extension ImageSpec {
    /// What HuggingFace's processor writes as an image's size: its own where tiles follow from it, else that of the canvas; nil where it writes none.
    fileprivate func namedSize(of layout: ImageLayout) -> ImageSize? {
        for index in views.indices {
            switch views[index].fit {
            case .pinpoints: return layout.size
            case .longest: return layout.frames[index]?.resized
            case .pages: return layout.frames[index]?.canvas
            default: continue
            }
        }
        return nil
    }
}
