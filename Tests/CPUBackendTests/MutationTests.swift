import ArtifactFormat
import ArtifactSamples
import CPUBackend
import Foundation
import ModelRuntime
import Serving
import Testing

/// Artifacts whose digests agree and whose sections do not: whoever opens them gets an error, or something that runs.
@Suite struct MutationTests {
    private let store = TemporaryStore()

    /// Opens the artifact at `path` and does what the tools do with it.
    static func use(_ path: String) throws {
        let artifact = try Artifact.open(directory: path, recordsUse: false)
        _ = ArtifactSummary(artifact, features: CPUBackend.features, processor: "")
        _ = artifact.planListings(entry: nil)
        _ = try? artifact.passLog()
        for (stage, entry) in artifact.irSections { _ = (try? artifact.ir(stage: stage, entry: entry)).map { GraphOutline(text: $0).svg() } }
        try artifact.checkWeights()
        if let golden = try artifact.golden() { _ = SelfTest.mismatch(golden, of: artifact, on: CPUBackend(threads: 1)) }
        _ = try SelfTest.record(artifact, on: CPUBackend(threads: 1))
        try serve(artifact)
    }

    /// Starts an engine, which warms every plan.
    private static func serve(_ artifact: Artifact) throws {
        let session = try Session(artifact, on: CPUBackend(threads: 1), availableBytes: 64 << 20)
        defer { session.engine.stop() }
        // A model that cannot be loaded is an answer.
        try? session.engine.waitUntilServing()
    }

    private func copy(_ artifact: Artifact) throws -> String {
        let path = "\(store.path)/\(UUID().uuidString)"
        try FileManager.default.copyItem(atPath: artifact.path, toPath: path)
        return path
    }

    /// How many mutations each batch tries.
    private static let mutations = ProcessInfo.processInfo.environment["VLM_MUTATIONS"].flatMap(UInt64.init) ?? 40

    @Test(arguments: 0..<8) func noMutationEndsTheProcess(batch: Int) async throws {
        let path = try copy(store.compile("qwen2_vl_hubstyle", .balanced))
        await #expect(processExitsWith: .success) { [path = path as String, batch = batch as Int] in
            var refused = 0
            for seed in UInt64(batch) * Self.mutations..<UInt64(batch + 1) * Self.mutations {
                let mutated = "\(path)-\(seed)"
                try FileManager.default.copyItem(atPath: path, toPath: mutated)
                let mutation = try Mutation.apply(seed: seed, to: mutated)
                FileHandle.standardError.write(Data("seed \(seed): \(mutation)\n".utf8))
                do { try Self.use(mutated) } catch { refused += 1 }
                try FileManager.default.removeItem(atPath: mutated)
            }
            // Harmless ones are among them, such as another name of the model.
            exit(refused > 10 ? 0 : 1)
        }
    }

    struct Contradiction: CustomTestStringConvertible {
        let section: String
        let words: String
        let apply: @Sendable (inout [String: Any]) -> Void

        var testDescription: String { words }

        init(_ words: String, in section: String = "inputs.json", _ apply: @escaping @Sendable (inout [String: Any]) -> Void) {
            (self.section, self.words, self.apply) = (section, words, apply)
        }
    }

    private static func set(_ tree: inout [String: Any], _ path: String..., to value: Any) {
        func changed(_ tree: Any?, _ path: ArraySlice<String>) -> Any {
            guard let key = path.first else { return value }
            var object = tree as? [String: Any] ?? [:]
            object[key] = changed(object[key], path.dropFirst())
            return object
        }
        tree = changed(tree, path[...]) as? [String: Any] ?? [:]
    }

    /// Changes the first view of images.
    private static func view(_ tree: inout [String: Any], _ change: (inout [String: Any]) -> Void) {
        guard var image = tree["image"] as? [String: Any], var views = image["views"] as? [[String: Any]] else { return }
        change(&views[0])
        image["views"] = views
        tree["image"] = image
    }

    /// Changes numbers of the first view's fit.
    private static func fit(_ tree: inout [String: Any], _ changes: [String: Int]) {
        view(&tree) { view in
            guard var fit = view["fit"] as? [String: Any], var smart = fit["smart"] as? [String: Any] else { return }
            for (key, value) in changes { smart[key] = value }
            fit["smart"] = smart
            view["fit"] = fit
        }
    }

    private static func dropVideo(_ inputs: inout [String: Any]) { (inputs["video"], inputs["videoRefusal"]) = (nil, nil) }

    static let contradictions = [
        Contradiction("positions have 1 axes") { set(&$0, "positions", to: ["sequential": ["start": 0]]) },
        Contradiction("positions.start is 9223372036854775807") { set(&$0, "positions", to: ["sequential": ["start": Int.max]]) },
        Contradiction("positions.mergeSize is 4096") { set(&$0, "positions", to: ["mrope": ["mergeSize": 4096]]) },
        Contradiction("positions.mergeSize is 4, but") { set(&$0, "positions", to: ["mrope": ["mergeSize": 4]]) },
        Contradiction("positions.mergeSize is 2, but image.pixels.order has cells of 4") {
            dropVideo(&$0)
            set(&$0, "image", "pixels", "order", "cells", "side", to: 4)
            set(&$0, "image", "features", "cells", "side", to: 4)
        },
        Contradiction("image.features are of cells of 4, but") { set(&$0, "image", "features", "cells", "side", to: 4) },
        Contradiction("image.tensors makes pixels of u8 [294], but") {
            dropVideo(&$0)
            set(&$0, "image", "pixels", "patchSize", to: 7)
        },
        Contradiction("video.frames has other pixels") { set(&$0, "image", "pixels", "patchSize", to: 7) },
        Contradiction("image.pixels.temporalPatchSize is 0") { set(&$0, "image", "pixels", "temporalPatchSize", to: 0) },
        Contradiction("image.views[0].fit.minPixels is 1099511627776") { fit(&$0, ["minPixels": 1 << 40]) },
        Contradiction("image is missing") {
            dropVideo(&$0)
            $0["image"] = nil
        },
        Contradiction("videoRefusal is there without video") { $0["video"] = nil },
        Contradiction("video is there, but image is not") { $0["image"] = nil },
        Contradiction("image.tensors has not one of pixels") { set(&$0, "image", "tensors", to: [Any]()) },
        Contradiction("image.views are 0") { set(&$0, "image", "views", to: [Any]()) },
        Contradiction("image.order names no view") { set(&$0, "image", "order", to: [3]) },
        Contradiction("image.prompt.token is") { set(&$0, "image", "prompt", "token", to: 2_000_000_000) },
        Contradiction("vocabularySize is 17, but") {
            dropVideo(&$0)
            $0["vocabularySize"] = 17
            set(&$0, "image", "prompt", "token", to: 5)
        },
        Contradiction("limits.maxModelLength is 2147483648", in: "program.json") { set(&$0, "limits", "maxModelLength", to: 1 << 31) },
        Contradiction("limits.maxBatchedTokens is 2147483648", in: "program.json") { set(&$0, "limits", "maxBatchedTokens", to: 1 << 31) },
        Contradiction("hiddenSize is 4294967296", in: "program.json") { set(&$0, "hiddenSize", to: 1 << 32) },
        Contradiction("the mask over a cache is segments", in: "program.json") { program in
            let mask = ["segments": ["queries": "images", "keys": "images"]]
            program["kernels"] = (program["kernels"] as? [[String: Any]] ?? []).map { kernel in
                guard var attention = (kernel["pagedAttention"] as? [String: Any])?["_0"] as? [String: Any] else { return kernel }
                attention["mask"] = mask
                return ["pagedAttention": ["_0": attention]]
            }
        },
    ]

    @Test(arguments: contradictions) func sectionsThatContradictEachOtherAreNamed(_ contradiction: Contradiction) throws {
        let path = try copy(store.compile("qwen2_vl_hubstyle", .exact))
        try Mutation.rekey(path)
        _ = try Artifact.open(directory: path)
        try Mutation.edit(contradiction.section, of: path, contradiction.apply)
        let error = try #require(throws: ArtifactError.self) { try Artifact.open(directory: path) }
        #expect(error.description.contains("section \(contradiction.section) is malformed"), "\(error)")
        #expect(error.description.contains(contradiction.words), "\(error)")
    }

    /// The key names tokenizer, template and `inputs.json` by their checksums.
    @Test func sectionsOtherThanTheKeyNamesAreRefused() throws {
        let path = try copy(store.compile("qwen2_vl_hubstyle", .exact))
        let template = Array("{{ messages }} and something else".utf8)
        try Data(template).write(to: URL(fileURLWithPath: path + "/chat_template.jinja"))
        try Mutation.edit("manifest.json", of: path) { manifest in
            var sections = manifest["sections"] as? [String: Any] ?? [:]
            sections["chat_template.jinja"] = ["bytes": template.count, "sha256": Digest.of(template)]
            manifest["sections"] = sections
        }
        let error = try #require(throws: ArtifactError.self) { try Artifact.open(directory: path) }
        #expect(error.description.contains("section chat_template.jinja is malformed: the artifact's key names another one"))
    }

    /// What makes other tokens, positions or patches of the request fails, although plans and weights compute what they did.
    @Test func theSelfTestGoesTheWayOfARequest() throws {
        let path = try copy(store.compile("qwen2_vl_hubstyle", .exact))
        let backend = CPUBackend(threads: 1)
        let golden = try #require(try Artifact.open(directory: path).golden())
        let request = try #require(golden.request)
        #expect(request.image != nil && !request.patches.isEmpty && golden.prompt.count > 4)
        #expect(try SelfTest.mismatch(golden, of: Artifact.open(directory: path), on: backend) == nil)
        let changes: [(String, String, (inout [String: Any]) -> Void)] = [
            ("filter", "other patches", { Self.view(&$0) { $0["filter"] = "nearest" } }),
            ("size", "other tokens", { Self.fit(&$0, ["minPixels": 9408, "maxPixels": 10976]) }),
        ]
        for (name, words, change) in changes {
            let changed = try copy(Artifact.open(directory: path))
            try Mutation.edit("inputs.json", of: changed, change)
            let mismatch = try SelfTest.mismatch(golden, of: Artifact.open(directory: changed), on: backend)
            #expect(mismatch?.contains(words) == true, "\(name): \(mismatch ?? "passes")")
        }
    }

    /// A sparse file of terabytes takes no room on the disk.
    @Test(arguments: ["tokenizer.bin", "golden.json", "inputs.json", "weights.bin", "other.bin"])
    func sectionsOfTerabytesAreRefused(_ name: String) throws {
        let path = try copy(store.compile("qwen2_vl_hubstyle", .exact))
        #expect(FileManager.default.createFile(atPath: "\(path)/other.bin", contents: Data()))
        try Mutation.edit("manifest.json", of: path) { manifest in
            var sections = manifest["sections"] as? [String: Any] ?? [:]
            sections[name] = ["bytes": 15 << 40, "sha256": ""]
            manifest["sections"] = sections
        }
        unlink("\(path)/\(name)")
        #expect(FileManager.default.createFile(atPath: "\(path)/\(name)", contents: Data()))
        #expect(truncate("\(path)/\(name)", 15 << 40) == 0)
        for run in [{ _ = try Artifact.open(directory: path) }, { _ = try Artifact.verify(directory: path) }] {
            #expect(throws: ArtifactError.self) { try run() }
        }
    }
}
