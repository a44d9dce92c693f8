import Foundation
import Testing

/// `vlmc compile` as scripts rely on it.
@Suite struct CompileTests {
    @Test func secondRunIsAHit() throws {
        let space = try Workspace()
        let first = try space.vlmc("compile", Workspace.demoModel)
        #expect(first.status == 0)
        let path = first.output.trimmingCharacters(in: .newlines)
        #expect(first.output == path + "\n")
        #expect(FileManager.default.fileExists(atPath: path + "/manifest.json"))
        let second = try space.vlmc("compile", Workspace.demoModel)
        #expect(second.output == first.output)
        #expect(second.errors.contains("cache hit"))
    }

    @Test func otherGearsShareWeights() throws {
        let space = try Workspace()
        let one = try space.compile(Workspace.demoModel)
        let report = space.path("report.json")
        let outcome = try space.vlmc("compile", Workspace.demoModel, "--decode-gears", "1,3", "--compile-report", report)
        #expect(outcome.errors.contains("gears: 1,2,4,8 → 1,3"))
        let text = try String(contentsOfFile: report, encoding: .utf8)
        #expect(text.contains("\"reusedWeights\" : true"))
        let other = outcome.output.trimmingCharacters(in: .newlines)
        func inode(_ path: String) throws -> Int? {
            try FileManager.default.attributesOfItem(atPath: path + "/weights.bin")[.systemFileNumber] as? Int
        }
        #expect(try inode(one) == inode(other))
        #expect(try space.vlmc("compile", Workspace.demoModel, "--force").output == one + "\n")
        #expect(try inode(one) == inode(other))
    }

    @Test func otherModelsAreNotComparedWith() throws {
        let space = try Workspace()
        let model = try space.compile(Workspace.demoModel)
        let other = try space.vlmc("compile", Workspace.fixtures.appending(path: "qwen2_vl").path)
        #expect(other.status == 0 && !other.errors.contains("since"), "\(other.errors)")
        let copy = try space.copyOfDemo()
        let renamed = space.path("renamed")
        try FileManager.default.moveItem(atPath: copy, toPath: renamed)
        let again = try space.vlmc("compile", renamed, "--decode-gears", "1,3")
        #expect(again.errors.contains("compiling, since gears: 1,2,4,8 → 1,3"), "\(again.errors)")
        // A directory of the same name and of the same kind, with weights of its own.
        let cousin = try space.copyOfDemo()
        try Self.flip(cousin + "/model.safetensors", at: -2)
        let first = try space.vlmc("compile", cousin)
        #expect(first.errors.contains("compiling model for the first time") && !first.errors.contains("since"), "\(first.errors)")
        try Self.flip(cousin + "/model.safetensors", at: -4)
        #expect(try space.vlmc("compile", cousin).errors.contains("compiling, since checkpoint: "))
        #expect(try space.vlmc("compile", renamed).output == model + "\n")
    }

    /// What `vlm-cache ls` prints is understood wherever an artifact is asked for; what exists as a path is that.
    @Test func namesAndKeysStandForArtifacts() throws {
        let space = try Workspace()
        let key = String(URL(filePath: try space.compile(Workspace.demoModel)).lastPathComponent.prefix(12))
        for name in ["model", key] {
            #expect(try space.vlmc("tokenize", name, input: "a\n").output == space.vlmc("tokenize", Workspace.demoModel, input: "a\n").output)
            #expect(try space.vlmc("run", name, "--max-tokens", "1", "Hello").status == 0)
        }
        let nothing = try space.vlmc("run", "nothing", "Hello")
        #expect(nothing.status == 1 && nothing.errors.hasPrefix("error: no artifact nothing in "))
        _ = try space.compile(Workspace.demoModel, "--decode-gears", "1,3")
        for verb in [["run", "model", "Hello"], ["tokenize", "model"]] {
            let several = try Command("vlmc", verb, environment: ["VLM_STORE": space.store]).run()
            #expect(several.status == 1 && several.errors.hasPrefix("error: model means several artifacts; give the beginning of a key:\n  "))
            #expect(several.errors.contains("\n  \(key) (model, "), "\(several.errors)")
        }
    }

    @Test func changedWeightsAreNamed() throws {
        let space = try Workspace()
        let model = try space.copyOfDemo()
        let first = try space.compile(model)
        let weights = model + "/model.safetensors"
        var bytes = try Data(contentsOf: URL(fileURLWithPath: weights))
        bytes[bytes.count - 2] ^= 1
        try bytes.write(to: URL(fileURLWithPath: weights))
        let report = space.path("report.json")
        let second = try space.vlmc("compile", model, "--compile-report", report)
        #expect(second.status == 0)
        #expect(second.errors.contains("checkpoint:"))
        let tuned = second.output.trimmingCharacters(in: .newlines)
        #expect(tuned != first)
        #expect(second.errors.contains("taken over"))
        #expect(try String(contentsOfFile: report, encoding: .utf8).contains("\"reusedProgram\" : true"))

        let forced = space.path("forced")
        #expect(try space.vlmc("compile", model, "--force", "-o", forced).status == 0)
        for name in ["program.json", "weights.json", "weights.bin", "passes.json", "ir/planned.extend.vir.zst"] {
            #expect(FileManager.default.contentsEqual(atPath: "\(tuned)/\(name)", andPath: "\(forced)/\(name)"), "\(name)")
        }
    }

    @Test func forcePacksDamagedWeightsAnew() throws {
        let space = try Workspace()
        let path = try space.compile(Workspace.demoModel)
        let handle = try FileHandle(forUpdating: URL(fileURLWithPath: path + "/weights.bin"))
        try handle.write(contentsOf: Data([0xff, 0xff, 0xff, 0xff]))
        try handle.close()
        #expect(try space.cache("verify", path).status != 0)
        #expect(try space.vlmc("compile", Workspace.demoModel, "--force").status == 0)
        #expect(try space.cache("verify", path).status == 0)
    }

    /// What another compile left is not trusted: it may have been damaged since.
    @Test func damagedSharedWeightsArePackedAnew() throws {
        let space = try Workspace()
        let first = try space.compile(Workspace.demoModel)
        let file = try FileHandle(forUpdating: URL(filePath: first + "/weights.bin"))
        try file.seek(toOffset: 5000)
        try file.write(contentsOf: Data([0x55, 0xaa, 0x55]))
        try file.close()
        let other = try space.vlmc("compile", Workspace.demoModel, "--decode-gears", "1,3")
        #expect(other.status == 0, "\(other.errors)")
        #expect(!other.errors.contains("shared with"))
        #expect(try space.cache("verify", other.output.trimmingCharacters(in: .newlines)).status == 0)
    }

    private static func flip(_ path: String, at offset: Int) throws {
        var bytes = try Data(contentsOf: URL(filePath: path))
        bytes[offset < 0 ? bytes.count + offset : offset] ^= 1
        try bytes.write(to: URL(filePath: path))
    }

    /// An artifact whose weights are not those that were packed is no hit; once they held, they are not read again.
    @Test(arguments: [false, true]) func damagedWeightsAreCompiledAgain(isElsewhere: Bool) throws {
        let space = try Workspace()
        let flags = isElsewhere ? ["-o", space.path("artifact")] : []
        func compile(_ more: String...) throws -> Command.Outcome {
            try Command("vlmc", ["compile", Workspace.demoModel] + flags + more, environment: ["VLM_STORE": space.store]).run()
        }
        let path = try compile().output.trimmingCharacters(in: .newlines)
        let file = try FileHandle(forUpdating: URL(filePath: path + "/weights.bin"))
        try file.seek(toOffset: 5000)
        try file.write(contentsOf: Data([0x55, 0xaa, 0x55]))
        try file.close()
        let fact = "\(path): section weights.bin is damaged: "
        if !isElsewhere {
            let refused = try compile("--only-stored")
            #expect(refused.status == 1 && refused.errors.hasPrefix("error: \(fact)") && refused.errors.contains("compile it:"), "\(refused.errors)")
        }
        let again = try compile()
        #expect(again.status == 0 && again.errors.contains("compiling again what the store has: \(fact)"), "\(again.errors)")
        #expect(again.output == path + "\n")
        #expect(try space.cache("verify", path).status == 0)
        #expect(try compile().errors.contains("cache hit"))
    }

    /// Said by what examines a model as well.
    @Test func aModelThatNeverEndsIsWarnedOf() throws {
        let space = try Workspace()
        let model = try space.copyOfDemo()
        for name in ["config.json", "generation_config.json"] {
            let url = URL(filePath: "\(model)/\(name)")
            let text = try String(contentsOf: url, encoding: .utf8)
            try text.replacing(/"eos_token_id": (\d+|\[[^\]]*\])/, with: #""eos_token_id": null"#).write(to: url, atomically: true, encoding: .utf8)
        }
        let words = "names no token that ends an answer"
        #expect(try space.vlmc("compile", model).errors.contains("warning: \(model) \(words)"))
        #expect(try space.vlmc("doctor", model).output.contains("warning: \(model) \(words)"))
        #expect(try !space.vlmc("doctor", Workspace.demoModel).output.contains(words))
    }

    @Test func outputReplacesArtifactsAlone() throws {
        let space = try Workspace()
        let web = space.path("web")
        try FileManager.default.createDirectory(atPath: web + "/src", withIntermediateDirectories: true)
        try Data("{\"name\": \"My web app\"}".utf8).write(to: URL(filePath: web + "/manifest.json"))
        let refused = try space.vlmc("compile", Workspace.demoModel, "-o", web)
        #expect(refused.status == 1 && refused.errors.contains("is not an artifact"))
        #expect(FileManager.default.fileExists(atPath: web + "/src"))
        let output = space.path("artifact")
        #expect(try space.vlmc("compile", Workspace.demoModel, "-o", output).status == 0)
        try Data("mine".utf8).write(to: URL(filePath: output + "/NOTES.txt"))
        let kept = try space.vlmc("compile", Workspace.demoModel, "--decode-gears", "1,3", "-o", output)
        #expect(kept.status == 1 && kept.errors.contains("NOTES.txt"))
    }

    @Test func specialTokensAreInTheKey() throws {
        let space = try Workspace()
        let model = try space.copyOfDemo()
        let map = URL(filePath: model + "/special_tokens_map.json")
        try Data("{\"bos_token\": \"<|im_start|>\"}".utf8).write(to: map)
        let first = try space.compile(model)
        try Data("{\"bos_token\": \"<|im_end|>\"}".utf8).write(to: map)
        #expect(try space.compile(model) != first)
    }

    @Test func dumpsAreWrittenForAHit() throws {
        let space = try Workspace()
        _ = try space.compile(Workspace.demoModel)
        let again = try space.vlmc("compile", Workspace.demoModel, "--dump-ir", space.path("ir"))
        #expect(again.status == 0 && again.errors.contains("cache hit"))
        #expect(FileManager.default.fileExists(atPath: space.path("ir/stage-planned.vir")))
    }

    @Test func twoAtOnceBuildOnce() async throws {
        let space = try Workspace()
        let store = space.store
        let outputs = try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<2 {
                group.addTask {
                    try Command("vlmc", ["compile", Workspace.demoModel, "--store", store]).run().output
                }
            }
            return try await group.reduce(into: [String]()) { $0.append($1) }
        }
        #expect(outputs[0] == outputs[1])
        #expect(try FileManager.default.contentsOfDirectory(atPath: store + "/artifacts").count == 1)
    }

    @Test(arguments: [
        (["--decode-gears", "0"], "\"0\" is no number of sequences"), (["--decode-gears", "2,2"], "stands there twice"),
        (["--decode-gears", "1,9", "--max-num-seqs", "8"], "above --max-num-seqs 8"),
        (["--max-model-len", "5000"], "4096"), (["--max-num-seqs=-1"], "at least 1"), (["--target", "gpu"], "the targets are"),
        (["--precision", "best"], "exact or balanced"), (["--quantize", "int5"], "is not one of none, int8"),
        (["--quantize", "int8", "--precision", "exact"], "exact precision keeps weights"), (["--max-num-batched-tokens", "2"], "below --max-num-seqs"),
    ])
    func badFlagsLeaveNothing(_ flags: [String], _ words: String) throws {
        let space = try Workspace()
        let outcome = try Command("vlmc", ["compile", Workspace.demoModel] + flags, environment: ["VLM_STORE": space.store]).run()
        #expect(1...125 ~= outcome.status)
        #expect(outcome.output.isEmpty)
        #expect(outcome.errors.contains(words), "\(outcome.errors)")
        #expect(!FileManager.default.fileExists(atPath: space.store))
    }

    @Test func badModelsAreRefused() throws {
        let space = try Workspace()
        let empty = space.path("empty")
        try FileManager.default.createDirectory(atPath: empty, withIntermediateDirectories: true)
        try refuse(space, empty, "empty")
        try refuse(space, space.path("nowhere"), "no such directory")

        let model = try space.copyOfDemo()
        let config = model + "/config.json"
        let text = try String(contentsOfFile: config, encoding: .utf8)
        try text.replacingOccurrences(of: "Qwen2VLForConditionalGeneration", with: "OtherModel")
            .write(toFile: config, atomically: true, encoding: .utf8)
        try refuse(space, model, "Qwen2VLForConditionalGeneration")
        try text.write(toFile: config, atomically: true, encoding: .utf8)

        let weights = URL(fileURLWithPath: model + "/model.safetensors")
        let bytes = try Data(contentsOf: weights)
        try bytes.prefix(bytes.count / 2).write(to: weights)
        try refuse(space, model, "model.safetensors")
        var poisoned = bytes
        poisoned.replaceSubrange(bytes.count - 2..<bytes.count, with: [0xc0, 0x7f])
        try poisoned.write(to: weights)
        try refuse(space, model, "NaN")
        try FileManager.default.removeItem(at: weights)
        try Data([1, 2, 3]).write(to: URL(fileURLWithPath: model + "/pytorch_model.bin"))
        try refuse(space, model, "pickle")
    }

    private func refuse(_ space: Workspace, _ model: String, _ words: String) throws {
        let outcome = try space.vlmc("compile", model)
        #expect(1...125 ~= outcome.status)
        #expect(outcome.output.isEmpty)
        #expect(outcome.errors.contains(words), "\(outcome.errors)")
        #expect(!FileManager.default.fileExists(atPath: space.store))
    }

    @Test func programsThatWaitAreToldHowFarItIs() throws {
        let space = try Workspace()
        let compiled = try space.vlmc("compile", Workspace.demoModel, "--progress-to", "2")
        #expect(compiled.status == 0, "\(compiled.errors)")
        let lines = compiled.errors.split(separator: "\n").map { $0.split(separator: " ") }
        for phase in ["reading", "packing"] {
            let shares = lines.filter { $0.count == 2 && $0[0] == phase }.compactMap { Double($0[1]) }
            #expect(shares.first == 0 && shares.last == 1 && shares == shares.sorted() && shares.count > 2, "\(phase): \(shares)")
        }
        let closed = try space.vlmc("compile", Workspace.demoModel, "--progress-to", "\(Int32.max)")
        #expect(closed.status == 64 && closed.errors.contains("--progress-to \(Int32.max) is not an open file descriptor"), "\(closed.errors)")
    }

    /// Nothing of its own making stays, unless the artifact was whole already.
    @Test func interruptedCompileLeavesNothingHalf() throws {
        for (index, delay) in [0.03, 0.06, 0.1, 0.15, 0.2, 0.25, 0.3].enumerated() {
            let space = try Workspace()
            let number = [SIGINT, SIGTERM, SIGHUP][index % 3]
            let outcome = try Command("vlmc", ["compile", Workspace.demoModel, "--store", space.store]).signalled(number, after: delay)
            // It may have been done by then, or not have begun to listen.
            if outcome.status == 0 || outcome.status == -number { continue }
            #expect(outcome.status == 1)
            #expect(outcome.errors.contains("interrupted"))
            guard let left = try? FileManager.default.contentsOfDirectory(atPath: space.store) else { continue }
            #expect(Set(left) == ["artifacts", "records", "weights"], "after \(delay) s")
            let artifacts = try FileManager.default.contentsOfDirectory(atPath: space.store + "/artifacts")
            #expect(artifacts.count == 1, "after \(delay) s")
            for name in artifacts { #expect(try space.cache("verify", "\(space.store)/artifacts/\(name)").status == 0) }
        }
    }

    /// Fewer rewrites make another artifact, never one that a whole compile is given later.
    @Test func limitedRewritesRunAndStayApart() throws {
        let space = try Workspace()
        let reference = Workspace.fixtures.appending(path: "qwen2_vl").path
        let limited = try space.compile(reference, "--precision", "exact", "--rewrite-limit", "0")
        let outcome = try space.vlmc("parity", limited, "--reference", reference)
        #expect(outcome.status == 0, "\(outcome.output)\(outcome.errors)")
        let whole = try space.vlmc("compile", reference, "--precision", "exact")
        #expect(whole.errors.contains("rewrite limit: 0 → none"))
        #expect(whole.output != limited + "\n")
    }

    @Test func killedCompileLeavesAValidStore() throws {
        let space = try Workspace()
        for delay in [0.02, 0.1, 0.2, 0.35] {
            _ = try Command("vlmc", ["compile", Workspace.demoModel, "--force", "--store", space.store]).signalled(SIGKILL, after: delay)
            let outcome = try space.vlmc("compile", Workspace.demoModel)
            #expect(outcome.status == 0, "\(outcome.errors)")
            let path = outcome.output.trimmingCharacters(in: .newlines)
            #expect(try space.cache("verify", path).status == 0)
        }
    }
}
