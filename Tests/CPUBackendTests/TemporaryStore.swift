import ArtifactFormat
import CPUBackend
import Compiler
import Foundation
import HuggingFace
import ModelRuntime
import Plan
import Seeded
import Tensors

/// A store of a test's own, removed with it.
final class TemporaryStore {
    let path = FileManager.default.temporaryDirectory.path + "/vlm-cpubackend-\(UUID().uuidString)"
    let store: Store

    init() { store = Store(root: path) }

    /// A model directory of this store's own.
    private var wide: String?

    deinit { for path in [path, wide].compactMap({ $0 }) { try? FileManager.default.removeItem(atPath: path) } }

    /// Compiles one of the tiny models, `demo`, or `wide`, for this machine.
    func compile(
        _ name: String, _ precision: ArtifactKey.Precision, from folder: String = "EndToEndTests", screenedBytes: Int? = nil, gears: [Int]? = nil,
        takesAdapters: Bool = false, rewriteLimit: Int? = nil
    ) throws -> Artifact {
        let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path
        let demo = "\(tests)/../Artifacts/Demo/model"
        let directory = name == "demo" ? demo : name == "wide" ? try widened(demo) : "\(tests)/\(folder)/Fixtures/\(name)"
        var options = CompileOptions(directory: directory, target: .here)
        options.precision = precision
        (options.screenedBytes, options.gears) = (screenedBytes, gears)
        (options.takesAdapters, options.rewriteLimit) = (takesAdapters, rewriteLimit)
        let source = try ModelSource(directory: directory, store: store)
        var compilation = try Compilation(source, options: options, store: store, machine: .current(store)) { _ in }
        compilation.golden = { artifact throws(ArtifactError) in
            do { return try SelfTest.record(artifact, on: CPUBackend(threads: 1)) } catch { throw .refused("\(error)") }
        }
        let report = try compilation.run()
        return try Artifact.open(directory: report.artifact)
    }

    /// Compiles one of the tiny models with a head that guesses its tokens, each for the other; the head may be a directory anywhere.
    func compile(head: String, of name: String, _ precision: ArtifactKey.Precision) throws -> (model: Artifact, head: Artifact) {
        let fixtures = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path + "/EndToEndTests/Fixtures/"
        func compile(_ source: ModelSource, _ inner: InnerStates?) throws -> Artifact {
            var options = CompileOptions(directory: source.directory, target: .here)
            (options.precision, options.innerStates) = (precision, inner)
            let report = try Compilation(source, options: options, store: store, machine: .current(store)) { _ in }.run()
            return try Artifact.open(directory: report.artifact)
        }
        let model = try ModelSource(directory: fixtures + name, store: store)
        let source = try HeadSource(directory: head.hasPrefix("/") ? head : fixtures + head, of: model, store: store)
        return (try compile(model, source.innerStates), try compile(source.source(), nil))
    }

    /// The demo model with many more tokens, whose embeddings are noise.
    private func widened(_ demo: String) throws -> String {
        let directory = path + "-wide", (was, count) = (768, 8192)
        defer { wide = directory }
        try FileManager.default.copyItem(atPath: demo, toPath: directory)
        let config = try String(contentsOfFile: directory + "/config.json", encoding: .utf8)
        let other = config.replacing("\"vocab_size\": \(was)", with: "\"vocab_size\": \(count)")
        try other.write(toFile: directory + "/config.json", atomically: true, encoding: .utf8)
        let file = try SafetensorsFile(path: demo + "/model.safetensors")
        var writer = SafetensorsWriter(), random = Dice(3)
        for tensor in file.tensors {
            var shape = tensor.type.shape.fixed ?? [], bytes = tensor.withBytes { Array($0) }
            if shape.first == was, tensor.name.hasSuffix("embed_tokens.weight") {
                let noise = (0..<(count - was) * shape[1]).map { _ in
                    UInt16((0..<4).reduce(Float(0)) { sum, _ in sum + Float.random(in: -0.02...0.02, using: &random) }.bitPattern >> 16)
                }
                bytes += noise.withUnsafeBytes { Array($0) }
                shape[0] = count
            }
            writer.add(tensor.name, tensor.type.element, shape: shape, bytes: bytes)
        }
        try writer.write(to: directory + "/model.safetensors")
        return directory
    }
}
