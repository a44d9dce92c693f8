import ChatTemplates
import Execution
import Foundation
import HTTPAPI
import Inputs
import JSON
import Plan
import Serving
import Tensors

/// A server in this process: its model is the null model, its chat template and its tokenizer are real.
final class FuzzServer: Sendable {
    static let shared = Result { try FuzzServer() }

    let port: Int

    private init() throws {
        let program = Self.program
        let configuration = try EngineConfiguration(program: program, options: EngineOptions(), availableBytes: 1 << 24)
        let engine = Engine(configuration: configuration, log: { _ in }) { NullModel(program: program) }
        let model = ServedModel(names: ["m"], root: "m", engine: engine)
        model.pipeline = try Self.pipeline()
        var options = APIServer.Options()
        options.port = 0
        options.maxBodyBytes = 1 << 20
        options.bodyTimeoutSeconds = 0.2
        let (ports, announce) = AsyncStream<Int>.makeStream()
        options.onListening = { announce.yield($0) }
        let server = APIServer(model: model, options: options)
        Task.detached { try await server.run() }
        let ready = DispatchSemaphore(value: 0)
        let found = PortBox()
        Task.detached {
            for await port in ports {
                while !model.isReady { try? await Task.sleep(for: .milliseconds(1)) }
                found.port = port
                ready.signal()
                return
            }
        }
        guard ready.wait(timeout: .now() + 30) == .success else { throw Finding("the server does not start") }
        port = found.port
    }

    /// Written before the semaphore is signalled, read after.
    private final class PortBox: @unchecked Sendable { var port = 0 }

    private static let program: Program = {
        let vision = ExecutionPlan(
            entry: .vision,
            tensors: [
                .init(name: "pixels", type: TensorType(.u8, [Dim(4, times: "M"), 588])),
                .init(name: "patch_positions", type: TensorType(.i32, [2, Dim(4, times: "M")])),
            ], outputs: [], steps: [], bounds: ["M": 64], arenaBytes: 0, unsharedBytes: 0)
        return Program(
            plans: [vision],
            limits: Program.Limits(gears: [1, 4], maxSequences: 4, maxModelLength: 256, maxBatchedTokens: 64, maxPatches: 256),
            kv: KVLayout(layers: 1, heads: 1, headDim: 8, element: .f32), vocabularySize: 260, hiddenSize: 4, positionAxes: 3)
    }()

    private static func pipeline() throws -> InputPipeline {
        let tokenizer = try Tokenizer(json: ByteTokenizer.json(marks: ["<|im_start|>", "<|im_end|>", "<|image_pad|>"]))
        let template = try ChatTemplate(source: chatTemplate)
        let spec = InputSpec(
            image: ImageSpec(
                views: [ViewSpec(.smart(minPixels: 784, maxPixels: 784 * 16, multiple: 28, growsShortSide: false), filter: .bicubic, precision: .torchvision)],
                pixels: PixelSpec(patchSize: 14, order: .cells(side: 2, columnsFirst: false), rescaleFactor: 1 / 255, normalization: nil, form: .patches),
                tensors: [VisionTensor("pixels", .pixels), VisionTensor("patch_positions", .patchPositions)],
                segments: [VisionSegments("images", .images)], features: .cells(side: 2),
                prompt: ImagePrompt(marker: "<|image_pad|>", token: 258, tokenText: "<|image_pad|>")),
            positions: .mrope(mergeSize: 2), vocabularySize: 260,
            endTokenIDs: [257], generation: GenerationDefaults(doSample: false))
        return InputPipeline(
            spec: spec, modelKey: "", maxPatches: 256, maxImagePixels: 1 << 20, contextLength: 256, tokenBytesMax: tokenizer.maxTokenBytes,
            render: { messages, _, budget in try template.render(spec.templateContext(messages: messages), now: 0, budget: budget) },
            encode: { text, adds, budget in try tokenizer.encode(text, addSpecialTokens: adds, budget: budget) },
            newDecoder: { IncrementalDecoder(tokenizer, skipSpecialTokens: $0.skipsSpecialTokens) }, tokenBytes: { tokenizer.bytes(of: $0) },
            parse: { source in
                let own = try ChatTemplate(source: source)
                return { messages, extra, budget in try own.render(spec.templateContext(messages: messages, extra: extra), now: 0, budget: budget) }
            })
    }

    private static let chatTemplate = """
        {%- for message in messages -%}
        {{- '<|im_start|>' + message.role + '\\n' -}}
        {%- if message.content is string -%}{{ message.content }}
        {%- else -%}
        {%- for part in message.content -%}
        {%- if part.type == 'image' -%}<|image_pad|>{%- else -%}{{ part.text }}{%- endif -%}
        {%- endfor -%}
        {%- endif -%}
        {%- for call in message.tool_calls or [] -%}{{ call.function.name ~ (call.function.arguments | tojson) }}{%- endfor -%}
        {{- '<|im_end|>\\n' -}}
        {%- endfor -%}
        {%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
        """
}

/// Tokenizers whose pieces are the 256 bytes.
enum ByteTokenizer {
    /// GPT-2's letters for the bytes.
    static let alphabet: [String] = {
        let printable = Set(33...126).union(161...172).union(174...255)
        let others = (0..<256).filter { !printable.contains($0) }
        let scalars = printable.sorted() + others.indices.map { 256 + $0 }
        return scalars.compactMap { UnicodeScalar($0).map { String(Character($0)) } }
    }()

    /// A `tokenizer.json` without merges; `marks` are special tokens behind the bytes.
    static func json(marks: [String]) -> [UInt8] {
        var vocabulary = JSONObject()
        for (id, letter) in alphabet.enumerated() { vocabulary[letter] = .int(id) }
        let added = marks.enumerated().map { index, mark -> JSONValue in
            ["id": .int(256 + index), "content": .string(mark), "special": true, "normalized": false]
        }
        let document: JSONValue = [
            "added_tokens": .array(added), "normalizer": .null,
            "pre_tokenizer": ["type": "ByteLevel", "add_prefix_space": false, "use_regex": true], "decoder": ["type": "ByteLevel"],
            "model": ["type": "BPE", "vocab": .object(vocabulary), "merges": []],
        ]
        return document.serialized
    }
}
