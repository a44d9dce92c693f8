import Foundation
import Testing

/// `vlm-serve` of a model directory: the artifact is compiled where the store does not have it, and never one of an earlier state.
@Suite struct OneCommandTests {
    private struct Listed: Decodable { var key: String }

    private func keys(_ space: Workspace) throws -> [String] {
        try JSONDecoder().decode([Listed].self, from: Data(space.cache("ls", "--json").output.utf8)).map(\.key)
    }

    /// Serves what `name` means until it has answered a request that names the model in the same way.
    private func serve(_ name: String, in space: Workspace, saying words: String? = nil, _ flags: String..., environment: [String: String] = [:]) async throws {
        let server = try Server(name, ["--store", space.store] + flags, environment: environment)
        if let words { #expect(server.line(with: words) != nil) }
        #expect(try await !server.ask("Hello", [], questionFirst: true, model: name).contains("does not exist"))
        #expect(server.stop() == 0)
    }

    @Test func aDirectoryIsCompiledOnceAndAgainWhenItChanged() async throws {
        let space = try Workspace()
        let model = try space.copyOfDemo()
        try await serve(model, in: space, saying: "compiled in")
        let first = try keys(space)
        #expect(first == [URL(filePath: try space.compile(model)).lastPathComponent])
        try await serve(model + "/", in: space, saying: "cache hit")
        #expect(try keys(space) == first)
        try Data(#"{"temperature": 0.5}"#.utf8).write(to: URL(filePath: model + "/generation_config.json"))
        try await serve(model, in: space, saying: "compiling, since generation config")
        #expect(try keys(space).count == 2)
    }

    /// One sequence's guesses need more rows of a step than sequences.
    @Test func aModelIsCompiledForItsGuesses() async throws {
        let space = try Workspace()
        try await serve(
            space.copyOfDemo(), in: space, saying: "compiled in", "--max-num-seqs", "1", "--speculative-model", "[ngram]", "--num-speculative-tokens", "4",
            "--ngram-prompt-lookup-max", "4")
    }

    /// `vlmc run` finds, compiles and refuses what the server does.
    @Test func aQuestionToADirectoryIsAnsweredByTheSameArtifact() throws {
        let space = try Workspace()
        let model = try space.copyOfDemo()
        let refused = try space.vlmc("run", model, "--no-compile", "Hello")
        let command = "compile it:\n  vlmc compile \(model)\n"
        #expect(refused.status == 1 && refused.errors.hasSuffix(command) && refused.output.isEmpty, "\(refused.errors)")
        let first = try space.vlmc("run", model, "--max-tokens", "4", "Hello")
        #expect(first.status == 0 && first.errors.contains("compiled in"), "\(first.errors)")
        let path = try space.compile(model)
        #expect(try keys(space) == [URL(filePath: path).lastPathComponent])
        let second = try space.vlmc("run", model, "--no-compile", "--max-tokens", "4", "Hello")
        #expect(second.status == 0 && second.errors.contains("cache hit") && second.output == first.output, "\(second.errors)")
        try Data(#"{"temperature": 0.5}"#.utf8).write(to: URL(filePath: model + "/generation_config.json"))
        let stale = try space.vlmc("run", model, "--no-compile", "Hello")
        #expect(stale.status == 1 && stale.errors.hasSuffix(command), "\(stale.errors)")
        #expect(try space.vlmc("bench", model, "--prompt", "8", "--tokens", "2", "--rounds", "1", "--sequences", "1").status == 0)
        #expect(try keys(space).count == 2)
    }

    /// Whoever is told to end takes the compiler along.
    @Test(arguments: [0.05, 0.1, 0.2]) func aCompileEndsWithTheQuestion(_ seconds: Double) throws {
        let space = try Workspace()
        let model = try space.copyOfDemo()
        let outcome = try Command("vlmc", ["run", model, "--store", space.store, "Hello"]).signalled(SIGTERM, after: seconds)
        #expect(try Command(shell: "exec pgrep -f 'compile \(model)'").run().output.isEmpty)
        // It may have been done by then, or not have begun to listen.
        guard outcome.status != 0, outcome.status != -SIGTERM else { return }
        #expect(outcome.status == 1 && outcome.errors.hasSuffix("error: interrupted\n"), "\(outcome.errors)")
        for artifact in (try? FileManager.default.contentsOfDirectory(atPath: space.store + "/artifacts")) ?? [] {
            #expect(try space.cache("verify", artifact).status == 0)
        }
    }

    /// Whatever ends the server, the compiler goes with it; it never has the port, or anything else that the server has open.
    @Test(arguments: [SIGKILL, SIGUSR1]) func aCompileEndsWithAServerThatIsKilled(_ number: Int32) throws {
        let space = try Workspace()
        let model = try space.copyOfDemo()
        let running = try Command("vlm-serve", [model, "--store", space.store, "--port", "0"]).start()
        var compiler: Int32?
        while compiler == nil, running.process.isRunning { compiler = try Int32(Command(shell: "exec pgrep -f 'compile \(model)'").run().output.trimmingCharacters(in: .newlines)) }
        let process = try #require(compiler)
        kill(process, SIGSTOP)
        let descriptors = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/fd")
        let targets = descriptors.compactMap { try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(process)/fd/\($0)") }
        #expect(descriptors.contains("3") && targets.filter { $0.hasPrefix("socket:") } == [], "\(targets)")
        // A group that loses its parent while it is stopped would be told to end by the kernel.
        kill(process, SIGCONT)
        kill(running.process.processIdentifier, number)
        running.process.waitUntilExit()
        // One that has ended, and that nobody asks about, has no command line.
        for _ in 0..<1000 where (try? Data(contentsOf: URL(filePath: "/proc/\(process)/cmdline")))?.isEmpty == false { Thread.sleep(forTimeInterval: 0.01) }
        #expect((try? Data(contentsOf: URL(filePath: "/proc/\(process)/cmdline")))?.isEmpty != false)
        #expect(((try? FileManager.default.contentsOfDirectory(atPath: space.store + "/artifacts")) ?? []) == [])
    }

    /// Ctrl-C reaches the compiler as well, and is told once.
    @Test(arguments: [0.1, 0.15, 0.2, 0.3]) func anInterruptedCompileIsToldOnce(_ seconds: Double) throws {
        let space = try Workspace()
        let model = try space.copyOfDemo()
        let outcome = try Command("vlmc", ["run", model, "--store", space.store, "Hello"]).signalledWithItsOwn(SIGINT, after: seconds)
        guard outcome.status != 0, outcome.status != -SIGINT else { return }
        #expect(outcome.status == 1 && outcome.errors.components(separatedBy: "error: ").count == 2, "\(outcome.errors)")
    }

    @Test func lengthsThatTheModelDoesNotTakeAreRefusedBeforeAnythingIsCompiled() async throws {
        let space = try Workspace()
        func refusal(_ words: String...) throws -> String {
            let outcome = try Command("vlm-serve", words + ["--store", space.store, "--port", "0"]).run()
            #expect(outcome.status == 1)
            return outcome.errors
        }
        let words = "5000 tokens are more than the model takes, 4096 (max_position_embeddings); give --max-model-len 4096 or less, or auto\n"
        #expect(try refusal(Workspace.demoModel, "-c", "5000") == "error: \(words)")
        #expect(!FileManager.default.fileExists(atPath: space.store))
        let short = try space.compile(Workspace.demoModel, "--max-model-len", "1Ki")
        let fact = "error: --max-model-len 2000 is more than the artifact was compiled for (1024); give less, or auto, or compile the model again, which takes 4096: "
        #expect(try refusal(short, "-c", "2000") == fact + "vlmc compile DIR --max-model-len 2000\n")
        #expect(try refusal(short, "-c", "5000").contains("and the model takes 4096 at most (max_position_embeddings); give less, or auto\n"))
        let above = try space.vlmc("compile", Workspace.demoModel, "--max-model-len", "5000")
        #expect(above.status == 1 && above.errors.hasSuffix("(max_position_embeddings); give at most that, or auto\n"), "\(above.errors)")
        #expect(try refusal(Workspace.demoModel, "--no-compile", "-c", "2000").hasSuffix("vlmc compile \(Workspace.demoModel) --store \(space.store)\n"))
        #expect(try space.compile(Workspace.demoModel, "--max-model-len", "-1") == space.compile(Workspace.demoModel, "--max-model-len", "auto"))
        for length in ["auto", "-1"] {
            try await serve(Workspace.demoModel, in: space, saying: "maximum concurrency for 4096 tokens", "--max-model-len", length)
            try await serve(short, in: space, saying: "maximum concurrency for 1024 tokens", "--max-model-len", length)
        }
    }

    @Test func limitsAboveTheStandardAreCompiledFor() async throws {
        let space = try Workspace()
        try await serve(Workspace.demoModel, in: space, saying: "for at most 11 sequences, 640 tokens", "--max-num-seqs", "11", "--max-num-batched-tokens", "640")
    }

    @Test func noCompileServesWhatIsThereAndElseNamesTheCommand() async throws {
        let space = try Workspace()
        let model = try space.copyOfDemo()
        func refusal(_ flags: String...) throws -> String {
            let outcome = try Command("vlm-serve", [model, "--no-compile", "--store", space.store, "--port", "0"] + flags).run()
            #expect(outcome.status == 1 && outcome.output.isEmpty)
            return outcome.errors
        }
        let command = "compile it:\n  vlmc compile \(model) --store \(space.store)\n"
        #expect(try refusal() == "error: \(space.store) has no artifact of \(model) as it is now, compiled with these flags; \(command)")
        #expect(!FileManager.default.fileExists(atPath: space.store))
        _ = try space.compile(model)
        try await serve(model, in: space, "--no-compile")
        #expect(try refusal("--max-num-seqs", "3").hasSuffix("vlmc compile \(model) --max-num-seqs 3 --store \(space.store)\n"))
        try Data(#"{"temperature": 0.5}"#.utf8).write(to: URL(filePath: model + "/generation_config.json"))
        #expect(try refusal().hasSuffix(command))
    }

    @Test func aDownloadedModelIsFoundByItsName() async throws {
        let space = try Workspace()
        let hub = space.path("hub")
        let folder = hub + "/models--demo--shapes"
        try FileManager.default.createDirectory(atPath: folder + "/refs", withIntermediateDirectories: true)
        try FileManager.default.createDirectory(atPath: folder + "/snapshots", withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: Workspace.demoModel, toPath: folder + "/snapshots/a1")
        try Data("a1\n".utf8).write(to: URL(filePath: folder + "/refs/main"))
        let environment = ["HF_HUB_CACHE": hub, "VLM_STORE": space.store]
        let compiled = try Command("vlmc", ["compile", "demo/shapes"], environment: environment).run()
        #expect(compiled.status == 0, "\(compiled.errors)")
        #expect(try Command("vlmc", ["doctor", "demo/shapes"], environment: environment).run().output.contains("demo/shapes"))
        #expect(try Command("vlmc", ["tokenize", "demo/shapes"], environment: environment).run(input: "a\n").status == 0)
        try await serve("demo/shapes", in: space, saying: "cache hit", environment: environment)
        try await serve(folder + "/snapshots/a1", in: space, saying: "cache hit", environment: environment)

        // A later download of the same name is what is served from then on.
        try FileManager.default.moveItem(atPath: folder + "/snapshots/a1", toPath: folder + "/snapshots/b2")
        try Data(#"{"temperature": 0.5}"#.utf8).write(to: URL(filePath: folder + "/snapshots/b2/generation_config.json"))
        try Data("b2".utf8).write(to: URL(filePath: folder + "/refs/main"))
        try await serve("demo/shapes", in: space, saying: "compiling, since generation config", environment: environment)
        // Without the download, the name means artifacts, of which there are two now.
        let ambiguous = try Command("vlm-serve", ["demo/shapes"], environment: ["HF_HUB_CACHE": "", "HF_HOME": space.path("none"), "VLM_STORE": space.store]).run()
        #expect(ambiguous.status == 1 && ambiguous.errors.contains("demo/shapes means several artifacts"), "\(ambiguous.errors)")

        for tool in [["vlm-serve", "demo/other"], ["vlmc", "compile", "demo/other"]] {
            let missing = try Command(tool[0], Array(tool.dropFirst()), environment: environment).run()
            #expect(missing.status == 1 && missing.errors.hasSuffix("demo/other is neither a directory nor in HuggingFace's cache \(hub); download it first: hf download demo/other\n"), "\(missing.errors)")
        }
    }

    /// What `vlm-cache ls` prints, and what `vlmc compile` does.
    @Test func everySpellingOfAnArtifactWorksEverywhere() async throws {
        let space = try Workspace()
        let path = try space.compile(Workspace.demoModel)
        let key = URL(filePath: path).lastPathComponent
        let passes = try space.cache("show", path).output.split(separator: "\n").filter { $0.contains("@") }
        #expect(passes.count > 1 && passes.allSatisfy { $0.count <= 130 }, "\(passes)")
        for name in [path, "model", key, String(key.prefix(12)), String(key.prefix(3))] {
            try await serve(name, in: space)
            #expect(try space.vlmc("run", name, "--max-tokens", "1", "Hello").status == 0, "\(name)")
            #expect(try space.vlmc("tokenize", name, input: "a\n").status == 0, "\(name)")
            for verb in ["show", "verify", "passes"] { #expect(try space.cache(verb, name).status == 0, "\(verb) \(name)") }
            #expect(try space.cache("why", name, path).status == 0, "\(name)")
        }
    }

    @Test func aFolderOfNeitherKindIsRefused() throws {
        let space = try Workspace()
        let refused = try Command("vlm-serve", [space.url.path]).run()
        #expect(refused.status == 1 && refused.errors.contains("is no model's directory, it has no config.json, and no artifact, it has no manifest.json"), "\(refused.errors)")
        let gguf = space.path("model.gguf")
        try Data().write(to: URL(filePath: gguf))
        #expect(try Command("vlm-serve", [gguf]).run().errors.contains("is a GGUF file, which is not read"))
    }
}
