package import ArtifactFormat
package import Execution
internal import Inputs
internal import JSON
internal import Plan
internal import Serving

/// The self-test of artifacts: a request goes the way that a server's requests go, and a backend computes what follows.
///
/// A question behind an image becomes tokens, positions and patches by the artifact's own template, tokenizer and processor; the
/// image is encoded, the prompt prefilled, and each gear decodes one more token. An artifact that takes no images, or whose
/// context has no room for one, is asked without; one that answers no chats reads tokens that stand for themselves.
package enum SelfTest {
    private static let question = "What is in the picture, and which color is it?"
    /// Four colors in squares, 56 × 42 pixels.
    private static let image = Base64.decode(
        ("iVBORw0KGgoAAAANSUhEUgAAADgAAAAqAgMAAACb9nAdAAAADFBMVEXwICAgQOAgwEDw8OBktnYZAAAALklEQVR42mNgYGBgDQ0NXbVq1fr///8zDAMu"
            + "kBkFZAOZH0BSw4CL8CjIn8OACwAPBSDQVt4llgAAAABJRU5ErkJggg==").utf8)
    /// Tokens that are prefilled where they stand for themselves, unless the artifact takes fewer.
    private static let plainLength = 8

    /// Runs the artifact and records what it makes of the request.
    package static func record(_ artifact: Artifact, on backend: some Backend) throws(SessionError) -> Golden {
        try SessionError.wrapping { try recordAnswer(artifact, on: backend) }
    }

    private static func recordAnswer(_ artifact: Artifact, on backend: some Backend) throws -> Golden {
        let program = artifact.program
        let prompt = try recorded(artifact)
        let room = min(program.limits.gears.count, program.limits.maxModelLength - 1 - prompt.ids.count)
        let continuation = tokens(room, program, from: plainLength)
        let logits = try logits(of: artifact, prompt.prompt, continuation, on: backend)
        let largest = logits.reduce(1) { max($0, abs($1)) }
        return Golden(
            request: prompt.request, prompt: prompt.ids, continuation: continuation, logits: logits,
            tolerance: Golden.toleratedShare * largest)
    }

    /// What is wrong with what the artifact and the backend make of the request; nil when the test passes.
    package static func mismatch(_ golden: Golden, of artifact: Artifact, on backend: some Backend) -> String? {
        do {
            let prompt =
                try golden.request.map { try ask(artifact, $0.question, $0.image) } ?? Asked(plain: golden.prompt, artifact.program)
            guard prompt.ids == golden.prompt else { return "the request becomes other tokens than were recorded" }
            guard prompt.request?.positions == golden.request?.positions else {
                return "the request's tokens have other positions than were recorded"
            }
            guard prompt.request?.patches == golden.request?.patches else {
                return "the request's image becomes other patches than were recorded"
            }
            return golden.mismatch(try logits(of: artifact, prompt.prompt, golden.continuation, on: backend))
        } catch {
            return "\(error)"
        }
    }

    /// A prompt, and the request that it was made of.
    private struct Asked {
        var request: Golden.Request?
        var prompt: Prompt
        var ids: [Int32] { prompt.ids }

        init(plain tokens: [Int32], _ program: Program) {
            prompt = Prompt(text: tokens, axes: program.positionAxes)
        }

        init(_ request: Golden.Request, _ prompt: Prompt) {
            self.request = request
            self.prompt = prompt
        }
    }

    /// The first of the requests that the artifact has a template and room for.
    private static func recorded(_ artifact: Artifact) throws -> Asked {
        let limits = artifact.program.limits
        if artifact.has(.inputs), artifact.has(.tokenizer) {
            // Sections that cannot be read are an error; a request that is refused is not.
            _ = try pipeline(artifact)
            let spanMax = limits.maxBatchedTokens - limits.maxSequences + 1
            for image in [image, nil] {
                guard let asked = try? ask(artifact, question, image), asked.ids.count + limits.gears.count < limits.maxModelLength,
                    asked.prompt.spans.allSatisfy({ $0.count <= spanMax })
                else {
                    continue
                }
                return asked
            }
        }
        return Asked(plain: tokens(min(plainLength, limits.maxModelLength - 1), artifact.program, from: 0), artifact.program)
    }

    private static func tokens(_ count: Int, _ program: Program, from first: Int) -> [Int32] {
        (first..<first + max(count, 0)).map { Int32(($0 * 7919 + 13) % program.vocabularySize) }
    }

    private static func pipeline(_ artifact: Artifact) throws -> InputPipeline {
        let limits = artifact.program.limits
        return try ModelInputs(artifact).pipeline(
            maxPatches: limits.maxPatches, maxImagePixels: 1 << 20, contextLength: limits.maxModelLength)
    }

    private static func ask(_ artifact: Artifact, _ question: String, _ image: [UInt8]?) throws -> Asked {
        let text: JSONValue = ["type": "text", "text": .string(question)]
        let parts: [JSONValue] = image == nil ? [text] : [["type": "image"], text]
        let messages: JSONValue = [["role": "user", "content": .array(parts)]]
        let images = image.map { [EncodedImage(file: $0, place: "the self-test's image")] } ?? []
        let prompt = try pipeline(artifact).prompt(messages: messages, images: images)
        var digest = Digest()
        for image in prompt.images {
            for tensor in image.input.tensors {
                switch tensor.values {
                case .bytes(let bytes): digest.update(bytes)
                case .integers(let numbers): numbers.withUnsafeBytes { digest.update($0) }
                case .floats(let numbers): numbers.withUnsafeBytes { digest.update($0) }
                }
            }
            for (_, bounds) in image.input.segments.sorted(by: { $0.key < $1.key }) { bounds.withUnsafeBytes { digest.update($0) } }
        }
        let request = Golden.Request(
            question: question, image: image, positions: prompt.positions, patches: prompt.images.isEmpty ? "" : digest.finish())
        return Asked(request, prompt)
    }

    /// The logits of the last token. The prompt is read, then each token decoded by the next gear.
    private static func logits(
        of artifact: Artifact, _ prompt: Prompt, _ continuation: [Int32], on backend: some Backend
    ) throws -> [Float] {
        let session = try session(artifact, tokens: prompt.ids.count + continuation.count + 1, on: backend)
        defer { session.engine.stop() }
        // What follows the last token is not computed.
        let outputs = try session.outputs(of: prompt, continuation: continuation + [0], gears: artifact.program.limits.gears)
        return outputs.steps.last ?? []
    }

    /// An engine whose cache holds one sequence of so many tokens.
    private static func session(_ artifact: Artifact, tokens: Int, on backend: some Backend) throws -> Session {
        var options = EngineOptions()
        let blockBytes = max(artifact.program.kvBlockBytes(blockSize: options.blockSize), 1)
        let (bytes, overflow) = blockBytes.multipliedReportingOverflow(by: (tokens + options.blockSize - 1) / options.blockSize)
        options.kvCacheBytes = overflow ? .max : bytes
        return try Session(artifact, on: backend, options: options, availableBytes: .max)
    }
}
