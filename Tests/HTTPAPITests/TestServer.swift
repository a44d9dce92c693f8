import Budgets
import Dispatch
import Execution
import Foundation
import Gates
import GuidedDecoding
import HTTPAPI
import Inputs
import JSON
import MediaFetching
import Plan
import Serving
import Tensors
import TestClient

/// A server on a free loopback port whose model is the null model and whose tokens are bytes.
final class TestServer: Sendable {
    let port: Int
    let engine: Engine
    private let isSecure: Bool
    private let task: Task<Void, any Error>

    struct Options: Sendable {
        var maxSequences = 4
        var maxQueued = 100
        var schedulingPolicy = SchedulingPolicy.fcfs
        var maxBodyBytes = 1 << 20
        /// How long a step takes.
        var stepMilliseconds = 0
        /// Each step passes it.
        var stepGate = Gate()
        /// The model is loaded once this is signalled.
        var loadGate: DispatchSemaphore?
        var failsOnToken: Int32?
        var maxConnections = 4096
        var access = AccessRules()
        var reportsCachedTokens = true
        /// Its certificate is that of `Certificates.server`, which clients of these tests trust.
        var tls: ServerTLS?
        var media = MediaRules()
        var pixelBounds = PixelBounds()
        var hasPlayground = true
        var hasDocuments = true
        var requestLog: (@Sendable (LogLine) -> Void)?
        var maxHeldBytes = 1 << 30
        var bodyTimeoutSeconds = 30.0
        var writeTimeoutSeconds = 120.0
        var idleTimeoutSeconds = 75.0
        var preparationCPUSeconds = 30.0
        var preparationSeconds = 120.0
        /// Texts with `@` are tokenized once this is signalled.
        var encodeGate: DispatchSemaphore?
        var tokenBytesMax: Int?
        var generation = GenerationDefaults(doSample: false)
        /// Whether tokens spell their bytes, and not letters.
        var spellsBytes = false
        /// What answers say, a character for each token, whatever the tokens are; nil for the tokens' own.
        var script: String?
        /// Names of adapters.
        var adapters: [String] = []
        /// How the model marks what it thinks.
        var reasoning: ReasoningReader.Form?
        /// Whether the chat template tells of tools, and writes calls.
        var tellsOfTools = false
        /// Nil for a form that is not read.
        var callForm: ToolCalls.Form? = .json
        /// Sees the messages that the chat template gets.
        var onRender: @Sendable (JSONValue) -> Void = { _ in }
        /// Sees what the chat template gets besides.
        var onExtra: @Sendable (JSONObject) -> Void = { _ in }
    }

    static let modelName = "null-model"
    static let contextLength = 512
    /// Texts with the first are tokenized until their processor time is used up, with the second until their deadline.
    static let endless = "\u{2}"
    static let sleepless = "\u{3}"
    /// Messages with it are refused by the chat template, in their own words.
    static let refused = "\u{4}"

    init(_ options: Options = Options()) async throws {
        let program = Self.program(maxSequences: options.maxSequences)
        var engineOptions = EngineOptions()
        engineOptions.maxQueued = options.maxQueued
        engineOptions.adapters = options.adapters
        engineOptions.schedulingPolicy = options.schedulingPolicy
        let configuration = try EngineConfiguration(program: program, options: engineOptions, availableBytes: 1 << 26)
        let engine = Engine(configuration: configuration, log: { _ in }) {
            options.loadGate?.wait()
            return NullModel(program: program, failsOnToken: options.failsOnToken) { _ in
                options.stepGate.pass()
                if options.stepMilliseconds > 0 { Thread.sleep(forTimeInterval: Double(options.stepMilliseconds) / 1000) }
            }
        }
        let adapters = options.adapters.enumerated().map { index, name in
            ServedAdapter(name: name, root: "/adapters/\(name)", chosen: ChosenAdapter(index: index, digest: ContentDigest { $0.update(name) }))
        }
        let model = ServedModel(
            names: [Self.modelName, "alias"], baseNames: ["null-model"], root: "/models/null", adapters: adapters, engine: engine,
            reasoning: options.reasoning)
        model.pipeline = try Self.pipeline(options).bounding(options.pixelBounds)
        let (ports, announce) = AsyncStream<Int>.makeStream()
        var server = APIServer.Options()
        server.port = 0
        server.maxBodyBytes = options.maxBodyBytes
        server.version = "1.2.3"
        server.access = options.access
        server.reportsCachedTokens = options.reportsCachedTokens
        server.tls = options.tls
        server.media = options.media
        server.hasPlayground = options.hasPlayground
        server.hasDocuments = options.hasDocuments
        server.requestLog = options.requestLog
        server.maxConnections = options.maxConnections
        server.maxHeldBytes = options.maxHeldBytes
        server.bodyTimeoutSeconds = options.bodyTimeoutSeconds
        server.writeTimeoutSeconds = options.writeTimeoutSeconds
        server.idleTimeoutSeconds = options.idleTimeoutSeconds
        server.preparationCPUSeconds = options.preparationCPUSeconds
        server.preparationSeconds = options.preparationSeconds
        server.onListening = { announce.yield($0) }
        let door = APIServer(model: model, options: server)
        task = Task { try await door.run() }
        var iterator = ports.makeAsyncIterator()
        port = await iterator.next() ?? 0
        self.engine = engine
        isSecure = options.tls != nil
        while options.loadGate == nil, !model.isReady { try await Task.sleep(for: .milliseconds(1)) }
    }

    /// What clients of `port` speak.
    var tls: ClientTLS? { isSecure ? ClientTLS() : nil }

    /// Returns when a request is being computed; what it does must last until then.
    func whenRunning() async throws {
        let deadline = ContinuousClock.now + .seconds(120)
        while engine.metrics.running == 0 {
            guard ContinuousClock.now < deadline else { throw POSIXError(.ETIMEDOUT) }
            try await Task.sleep(for: .milliseconds(1))
        }
    }

    func stop() async {
        await engine.drain(timeout: .milliseconds(50))
        task.cancel()
        _ = try? await task.value
    }

    private static func program(maxSequences: Int) -> Program {
        let vision = ExecutionPlan(
            entry: .vision,
            tensors: [
                .init(name: "pixels", type: TensorType(.u8, [Dim(4, times: "M"), 588])),
                .init(name: "patch_positions", type: TensorType(.i32, [2, Dim(4, times: "M")])),
            ], outputs: [], steps: [], bounds: ["M": 64], arenaBytes: 0, unsharedBytes: 0)
        return Program(
            plans: [vision],
            limits: Program.Limits(
                gears: [1, 2, maxSequences], maxSequences: maxSequences, maxModelLength: contextLength,
                maxBatchedTokens: 64, maxPatches: 256),
            kv: KVLayout(layers: 1, heads: 1, headDim: 8, element: .f32), vocabularySize: 259, hiddenSize: 4,
            positionAxes: 3)
    }

    /// Bytes are tokens; 256 ends a text, 257 stands for an image and 258 follows each message.
    private static func pipeline(_ options: Options) -> InputPipeline {
        let spec = InputSpec(
            image: ImageSpec(
                views: [ViewSpec(.smart(minPixels: 784, maxPixels: 784 * 16, multiple: 28, growsShortSide: false), filter: .bicubic, precision: .torchvision)],
                pixels: PixelSpec(patchSize: 14, order: .cells(side: 2, columnsFirst: false), rescaleFactor: 1 / 255, normalization: nil, form: .patches),
                tensors: [VisionTensor("pixels", .pixels), VisionTensor("patch_positions", .patchPositions)],
                segments: [VisionSegments("images", .images)], features: .cells(side: 2),
                prompt: ImagePrompt(marker: "\u{1}", token: 257, tokenText: "\u{1}")),
            positions: .mrope(mergeSize: 2), vocabularySize: 259,
            endTokenIDs: [256], generation: options.generation)
        return InputPipeline(
            spec: spec, modelKey: "null", maxPatches: 256, maxImagePixels: 1_000_000, contextLength: contextLength,
            tokenBytesMax: options.tokenBytesMax,
            render: { messages, extra, _ in
                options.onExtra(extra)
                options.onRender(messages)
                return try options.tellsOfTools ? tools(extra) + render(messages, calls: options.callForm) : render(messages)
            },
            encode: { text, _, budget in
                if text.contains("@") { options.encodeGate?.wait() }
                if text.contains("¤") { throw TokenizationError.textTooLong(place: "step 1", limit: 9) }
                while text.contains(endless) { try budget.spend(1000) }
                while text.contains(sleepless) {
                    Thread.sleep(forTimeInterval: 0.01)
                    try budget.check()
                }
                return text.utf8.map { $0 == 1 ? 257 : Int32($0) }
            },
            newDecoder: { showing in
                // Prompts are shown as they are.
                if let script = options.script, showing.skipsSpecialTokens { return ScriptedDecoder(rest: Substring(script)) }
                if options.spellsBytes || options.script != nil { return ByteDecoder() }
                return PrintableDecoder()
            },
            tokenBytes: { options.spellsBytes ? [UInt8(truncatingIfNeeded: $0)] : [UInt8(97 + $0 % 26)] }, isSpecial: { $0 > 255 },
            parse: { source in
                // Enough of a template to tell it from the model's.
                guard !source.contains("{%") else { throw TokenizationError.textTooLong(place: "template", limit: 0) }
                return { messages, _, _ in try source.replacing("{{ messages }}", with: render(messages)) }
            })
    }

    private static func tools(_ extra: JSONObject) -> String {
        (extra["tools"]?.arrayValue ?? []).map { ($0["function"]?["name"]?.stringValue ?? "?") + "\n" }.joined()
    }

    private static func render(_ messages: JSONValue, calls: ToolCalls.Form? = nil) throws -> String {
        var text = ""
        for message in messages.arrayValue ?? [] {
            text += (message["role"]?.stringValue ?? "?") + ":"
            text += message["content"]?.stringValue ?? ""
            for part in message["content"]?.arrayValue ?? [] { text += part["text"]?.stringValue ?? "\u{1}" }
            for call in calls == nil ? [] : message["tool_calls"]?.arrayValue ?? [] {
                let (name, arguments) = (call["function"]?["name"]?.stringValue ?? "", call["function"]?["arguments"] ?? [:])
                let tags = (arguments.objectValue ?? [:]).map { "<parameter=\($0)>\n\($1.stringValue ?? $1.serializedText)\n</parameter>\n" }
                let json: JSONValue = ["name": .string(name), "arguments": arguments]
                text += "<tool_call>\n\(calls == .json ? json.serializedText : "<function=\(name)>\n\(tags.joined())</function>")\n</tool_call>"
            }
            text += "\n"
        }
        if let words = text.split(separator: refused, maxSplits: 1).dropFirst().first { throw TemplateRefusal(description: "no \(words)") }
        return text
    }

    private struct TemplateRefusal: Error, CustomStringConvertible {
        var description: String
    }
}

/// Writes each token as one letter, so that stop strings are met often.
struct PrintableDecoder: TokenTextDecoder {
    mutating func append(_ token: Int32) -> String { String(UnicodeScalar(UInt8(97 + token % 26))) }
    mutating func finish() -> String { "" }
}

/// Says its text, a character for each token.
struct ScriptedDecoder: TokenTextDecoder {
    var rest: Substring

    mutating func append(_ token: Int32) -> String { String(rest.popFirst().map(String.init) ?? "") }
    mutating func finish() -> String { "" }
}

/// Writes the bytes that tokens are, whole characters at once.
struct ByteDecoder: TokenTextDecoder {
    private var held: [UInt8] = []

    mutating func append(_ token: Int32) -> String {
        if token < 256 { held.append(UInt8(token)) }
        guard let text = String(validating: held, as: UTF8.self) else { return "" }
        held = []
        return text
    }

    mutating func finish() -> String { String(decoding: held, as: UTF8.self) }
}
