import ArgumentParser
import ArtifactFormat
import Inputs
import ModelRuntime
import Plan
import Serving
import VideoDecoding

struct Parity: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compare an artifact with recorded inputs and outputs of HuggingFace transformers.",
        discussion: """
            The reference directory holds expected.json, expected.safetensors and the images that they were recorded with. \
            Token ids and grids must be equal, pixel values within 1e-5, image features and logits within 1e-3 with a cosine \
            of at least 0.99999, greedy tokens identical. Where layers round what they read (the record has \
            weight_only_step_logits), a cosine of 0.9995 is asked of logits. Exit code 1 when a bar is missed: compile with \
            --precision exact for these bars.
            """)

    @Argument(help: "An artifact's directory, the beginning of its key, or its model's name.")
    var artifact: String

    @Option(help: "Directory with expected.json and expected.safetensors.")
    var reference: String

    @OptionGroup var store: StoreOption
    @OptionGroup var computing: ComputeOptions

    func run() throws {
        let recording = try Recording(reference)
        let session = try computing.session(try store.artifact(artifact))
        let rows = try compare(session, recording)
        print("what             max abs diff   cosine      bar        verdict")
        let judged = recording.roundsInputs ? rows.map(\.byDirection) : rows
        for row in judged { print(row.text) }
        guard judged.allSatisfy(\.passes) else { throw ExitCode(1) }
    }

    private func compare(_ session: Session, _ recording: Recording) throws -> [ParityRow] {
        var pipeline = try Failure.wrapping { () throws(SessionError) in try session.pipeline() }
        if let decoder = FrameProgram.sibling() { pipeline.videoDecoder = decoder }
        let prepared = try recording.prepared(pipeline)
        var rows = [ParityRow(equal: "token ids", prepared.inputIDs, recording.ids)]
        if let positions = recording.integers("position_ids") {
            rows.append(ParityRow(equal: "position ids", prepared.positions.ids, positions))
        }
        if let pixels = recording.floats("inputs.pixel_values"), let image = pipeline.spec.image {
            let values = image.pixelValues(of: prepared.images.map(\.image)).values
            rows.append(ParityRow(close: "pixel values", values, pixels, within: 1e-5, cosine: nil))
        }
        let read = prepared.images.map(\.image)
        for (name, title, spec, images) in [
            ("pixel_values", "pixel values", pipeline.spec.image, read.filter { !$0.isVideo }),
            ("pixel_values_videos", "video pixels", pipeline.spec.video?.frames, read.filter(\.isVideo)),
        ] {
            guard let digest = recording.digest(name), let spec else { continue }
            rows.append(ParityRow(same: title, Self.digest(spec.pixelValues(of: images).values), digest))
        }
        return try Failure.wrapping { () throws(SessionError) in try rows + outputs(session, pipeline, prepared, recording) }
    }

    /// SHA-256 of the numbers in little endian.
    private static func digest(_ values: [Float]) -> String {
        var digest = Digest()
        values.withUnsafeBytes { digest.update($0) }
        return digest.finish()
    }

    /// What the engine computes of the recorded prompt and the recorded tokens behind it.
    private func outputs(
        _ session: Session, _ pipeline: InputPipeline, _ prepared: PreparedPrompt, _ recording: Recording
    ) throws(SessionError) -> [ParityRow] {
        let prompt = pipeline.prompt(prepared)
        let penalty = pipeline.defaultSampling.repetitionPenalty
        let tokens = recording.newTokens
        let found = try session.outputs(of: prompt, continuation: tokens.isEmpty ? [0] : tokens, repetitionPenalty: penalty)
        var rows: [ParityRow] = []
        // A video is several images to the engine.
        let isVideo = prepared.images.flatMap { image in image.image.inputs.map { _ in image.image.isVideo } }
        if let expected = recording.features() {
            rows.append(ParityRow(close: "image features", zip(found.images, isVideo).filter { !$1 }.flatMap(\.0), expected))
        }
        if let expected = recording.features("video_") {
            rows.append(ParityRow(close: "video features", zip(found.images, isVideo).filter { $1 }.flatMap(\.0), expected))
        }
        if let expected = recording.floats("prefill_logits") ?? recording.floats("prefill_logits_last64") {
            let logits = try session.outputs(of: prompt, continuation: [0], readsWholePrompt: true).prompt
            rows.append(ParityRow(close: "prefill logits", Array(logits.suffix(expected.count)), expected))
        }
        if let expected = recording.floats("step_logits") {
            rows.append(ParityRow(close: "step logits", Array(found.steps.joined().prefix(expected.count)), expected))
        }
        let greedy = found.choices.prefix(tokens.count).map { $0 ?? -1 }
        return rows + [ParityRow(equal: "greedy tokens", greedy, tokens)]
    }
}
