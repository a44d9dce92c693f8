import ArtifactFormat
package import Inputs
internal import JSON
import Plan
import Serving

/// Prompts and pictures on which a model is computed while it is compiled.
package struct CalibrationSet: Sendable {
    /// One question with its pictures, and perhaps an answer.
    package struct Prompt: Sendable {
        package var text: String
        package var answer: String?
        /// Image files.
        package var pictures: [[UInt8]]

        package init(_ text: String, answer: String? = nil, pictures: [[UInt8]] = []) {
            (self.text, self.answer, self.pictures) = (text, answer, pictures)
        }
    }

    /// As a person named it.
    package let name: String
    package let prompts: [Prompt]
    /// Whether prompts that a model cannot read are left out; else they are errors.
    private let isForAnyModel: Bool

    package init(name: String, prompts: [Prompt], isForAnyModel: Bool = false) {
        (self.name, self.prompts, self.isForAnyModel) = (name, prompts, isForAnyModel)
    }

    /// Tokens of one prompt without pictures that are kept, the last ones.
    static let tokensMax = 512
    /// Pixels of a resized picture, where the model's processor takes a bound.
    static let pixelsMax = 448 * 448

    /// Equal for sets of the same prompts that become the same tokens.
    package var digest: String {
        var digest = Digest()
        digest.update(line: "calibration set 1, \(Self.tokensMax) tokens, \(Self.pixelsMax) pixels")
        for prompt in prompts {
            digest.update(line: Digest.of(Array(prompt.text.utf8)))
            digest.update(line: prompt.answer.map { Digest.of(Array($0.utf8)) } ?? "-")
            digest.update(line: prompt.pictures.map(Digest.of).joined(separator: " "))
        }
        return digest.finish()
    }

    /// The prompts as the model reads them; those with pictures are left out where it reads none.
    ///
    /// A model without a chat template reads the texts as they are. What the context does not hold is cut off texts, or left out with its pictures.
    package func prepared(by inputs: ModelInputs, contextLength: Int) throws(SessionError) -> [PreparedPrompt] {
        let plain = inputs.pipeline()
        let pipeline = (try? plain.bounding(PixelBounds(most: Self.pixelsMax))) ?? plain
        var prepared: [PreparedPrompt] = []
        for (index, prompt) in prompts.enumerated() where prompt.pictures.isEmpty || inputs.spec.image != nil && pipeline.refusal == nil {
            do {
                let next = try Self.prepared(prompt, pipeline, most: min(Self.tokensMax, contextLength))
                if next.tokens.count <= contextLength { prepared.append(next) }
            } catch where !isForAnyModel {
                throw SessionError(description: "prompt \(index + 1) of \(name): \(error)")
            } catch {
                continue
            }
        }
        guard !prepared.isEmpty else { throw SessionError(description: "\(name) has no prompt that the model reads") }
        return prepared
    }

    private static func prepared(_ prompt: Prompt, _ pipeline: InputPipeline, most: Int) throws -> PreparedPrompt {
        guard pipeline.refusal == nil else {
            let text = [prompt.text, prompt.answer].compactMap { $0 }.joined(separator: "\n")
            return try pipeline.prepared(rendered: text, images: []).truncated(to: most, spec: pipeline.spec)
        }
        let parts: [JSONValue] = prompt.pictures.map { _ in ["type": "image"] } + [["type": "text", "text": .string(prompt.text)]]
        var messages: [JSONValue] = [["role": "user", "content": .array(parts)]]
        if let answer = prompt.answer { messages.append(["role": "assistant", "content": [["type": "text", "text": .string(answer)]]]) }
        let images = prompt.pictures.enumerated().map { EncodedImage(file: $1, place: "picture \($0 + 1)") }
        let whole = try pipeline.prepared(messages: .array(messages), images: images, mayBeCut: true)
        return images.isEmpty ? try whole.truncated(to: most, spec: pipeline.spec) : whole
    }
}
