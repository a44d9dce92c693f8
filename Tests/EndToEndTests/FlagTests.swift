import CommandLineSupport
import ForeignFlags
import Foundation
import Testing

/// Command lines of other servers, and wrong ones.
@Suite struct FlagTests {
    private func serve(_ words: String..., environment: [String: String] = [:]) throws -> Command.Outcome {
        try Command("vlm-serve", words, environment: environment).run()
    }

    /// Flags that `vlm-serve` declares, as `--experimental-dump-help` tells them.
    private func ownFlags() throws -> Set<String> {
        let dump = try JSONSerialization.jsonObject(with: Data(serve("--experimental-dump-help").output.utf8)) as? [String: Any]
        let arguments = (dump?["command"] as? [String: Any])?["arguments"] as? [[String: Any]] ?? []
        let names = arguments.flatMap { $0["names"] as? [[String: String]] ?? [] }
        return Set(names.map { ($0["kind"] == "long" ? "--" : "-") + ($0["name"] ?? "") })
    }

    @Test func translationsLeadToFlagsThatThereAre() throws {
        let own = try ownFlags()
        #expect(own.contains("--max-model-len") && own.contains("--config"))
        #expect(Set(ForeignFlag.all.flatMap(\.names)).intersection(own) == [], "ours need no translation")
        let help = try serve("--help").output
        for line in ForeignFlag.translations {
            #expect(help.contains(line.split(separator: ":")[0]))
            let targets = line.split(separator: ": ", maxSplits: 1)[1].matches(of: /--[a-z-]+/).map { String($0.0) }
            #expect(Set(targets).subtracting(own) == [], "\(line)")
        }
        for variable in ForeignVariable.all {
            #expect(help.contains("\(variable.name): "))
            if case .flag(let flag, _) = variable.meaning { #expect(own.contains(flag), "\(variable.name)") }
        }
    }

    @Test(arguments: [
        (["vlm-serve", "x", "--nonsense"], "error: Unknown option '--nonsense'"), (["vlm-serve", "x", "--max-model-lem", "1"], "Did you mean '--max-model-len'?"),
        (["vlm-serve"], "error: give a model's directory or an artifact"), (["vlm-serve", "x", "--lora-modules", "a=b"], "error: --lora-modules needs --enable-lora"),
        (["vlm-serve", "x", "--enable-lora", "--lora-modules", "a"], "error: --lora-modules a is not name=directory"),
        (["vlm-serve", "--lora-modules", "a=b", "a=c", "x", "--enable-lora"], "error: --lora-modules names a twice"),
        (["vlm-serve", "--lora-modules", "a=b", #"{"name": "a", "path": "d"}"#, "x", "--enable-lora"], "error: --lora-modules names a twice"),
        (["vlm-serve", "x", "--enable-lora", "--lora-modules", #"{"name": "a"}"#], #"error: --lora-modules {"name": "a"} is no JSON object with the strings name and path"#),
        (["vlm-serve", "x", "--enable-lora", "--lora-modules", #"{"name": "a", "path": "b", "rank": 2}"#], "rank is not known; name, path and base_model_name are"),
        (["vlm-serve", "x", "--enable-lora", "--lora-modules", "a=b", "c=d", "--max-cpu-loras", "1"], "error: --lora-modules names 2 adapters, more than --max-cpu-loras 1"),
        (["vlm-serve", "x", "--enable-lora", "--max-loras", "2", "--max-cpu-loras", "1"], "error: --max-cpu-loras 1 is less than --max-loras 2"),
        (["vlm-serve", "x", "--max-loras", "2"], "error: --max-loras needs --enable-lora"),
        (["vlm-serve", "x", "--enable-lora", "--max-lora-rank", "513"], "error: --max-lora-rank 513 is not in 1 … 512"),
        (["vlm-serve", "x", "--dtype", "half"], "error: --dtype half: nothing is computed in it"), (["vlm-serve", "x", "--tensor-parallel-size", "2"], "error: --tensor-parallel-size 2: models are not split"),
        (["vlm-serve", "x", "-tp", "2"], "error: --tensor-parallel-size 2"), (["vlm-serve", "x", "--block-size", "7"], "error: --block-size 7 is not one of"),
        (["vlm-serve", "x", "--kv-cache-bytes", "1K"], "error: The value '1K' is invalid"), (["vlm-serve", "x", "--limit-mm-per-prompt", "image"], "error: --limit-mm-per-prompt image is neither"),
        (["vlm-serve", "x", "--allowed-media-domains", "http://a"], "error: --allowed-media-domains http://a is none of HOST"),
        (["vlm-serve", "x", "--image-fetch-timeout", "0"], "error: --image-fetch-timeout 0.0 is not above 0"), (["vlm-serve", "x", "--mm-processor-kwargs", "{\"a\": 1}"], "error: --mm-processor-kwargs: a is not taken"),
        (["vlm-serve", "x", "--override-generation-config", "{\"top\": 1}"], "error: --override-generation-config: top is none of do_sample, temperature"),
        (["vlm-serve", "x", "--speculative-model", "a/draft", "--num-speculative-tokens", "0"], "error: --num-speculative-tokens 0 must be at least 1"),
        (["vlm-serve", "x", "-md", "a/draft", "--ngram-prompt-lookup-max", "2"], "error: --ngram-prompt-lookup-max is of --speculative-model '[ngram]'; a/draft is a draft model"),
        (["vlm-serve", "x", "--speculative-config", "{\"method\": \"medusa\", \"model\": \"a\"}"], "error: --speculative-config: method must be \"ngram\", \"draft_model\", \"eagle\" or \"eagle3\""),
        (["vlm-serve", "x", "--speculative-method", "eagle3"], "error: --speculative-method needs --speculative-model"),
        (["vlm-serve", "x", "--speculative-model", "[ngram]", "--num-speculative-tokens", "2"], "error: --speculative-model needs --ngram-prompt-lookup-max"),
        (["vlm-serve", "x", "--num-speculative-tokens", "2"], "error: --num-speculative-tokens needs --speculative-model '[ngram]' or a draft model"),
        (["vlm-serve", "x", "--speculative-config", "{\"method\": \"mtp\"}"], "error: --speculative-config: method must be \"ngram\""),
        (["vlm-serve", "x", "--kv-cache-dir-size", "1Gi"], "error: --kv-cache-dir-size needs --kv-cache-dir"),
        (["vlm-serve", "x", "--kv-cache-dir", "d", "--no-enable-prefix-caching"], "error: --kv-cache-dir keeps what prefix caching finds; leave --no-enable-prefix-caching out"),
        (["vlm-serve", "x", "--config", "/nothing.yaml"], "error: --config: /nothing.yaml: No such file"),
        (["vlm-serve", "run-bacth", "-i", "a", "-o", "b"], "error: vlm-serve has no verb run-bacth; did you mean run-batch?"),
        (["vlm-serve", "serve", "x"], "error: serving has no verb here; give the model alone: vlm-serve MODEL"),
        (["vlmc", "run", "x", "--stop", "", "hi"], "error: --stop must not hold an empty string"),
        (["vlmc", "comple", "x"], "error: vlmc has no verb comple; did you mean compile?"), (["vlmc", "serve", "x"], "error: vlmc has no verb serve; did you mean vlm-serve MODEL?"),
        (["vlmc", "ls"], "error: vlmc has no verb ls; did you mean vlm-cache ls?"), (["vlmc", "gc", "--dry-run"], "error: vlmc has no verb gc; did you mean vlm-cache gc?"), (["vlm-cache", "compile", "x"], "error: vlm-cache has no verb compile; did you mean vlmc compile?"),
        (["vlm-cache", "inspect", "x"], "error: vlm-cache has no verb inspect; did you mean vlm-cache show?"), (["vlm-cache", "delete", "x"], "error: vlm-cache has no verb delete; did you mean vlm-cache rm?"), (["vlm-cache", "prune"], "did you mean vlm-cache gc?"),
        (["vlm-cache", "quux"], "error: vlm-cache has no verb quux; it has ls, show, graph"), (["vlm-serve", "compile", "x"], "error: vlm-serve has no verb compile; did you mean vlmc compile?"),
        (["vlm-serve", "--versoin"], "error: Unknown option '--versoin'. Did you mean '--version'?\n"), (["vlmc", "compile", "--fource"], "error: Unknown option '--fource'. Did you mean '--force'?\n"), (["vlm-cache", "show", "--jsn"], "error: Unknown option '--jsn'. Did you mean '--json'?\n"),
        (["vlm-serve", "--trust-remote-code"], "error: Missing expected argument '<model>'"), (["vlm-serve", "x", "-xp", "2"], "error: Unknown option '-xp'\n"), (["vlm-serve", "x", "-port", "2"], "error: Unknown option '-port'. Did you mean '--port'?\n"),
        (["vlm-serve", "x", "--port", "-1"], "error: --port -1 is not in 0 … 65535"), (["vlm-serve", "x", "--port=-1"], "error: --port -1 is not in 0 … 65535"), (["vlm-serve", "x", "--threads", "-1"], "error: --threads -1 is not in 1"),
        (["vlmc", "run", "x", "hi", "--threads", "-1"], "error: --threads -1 is not in 1"), (["vlm-cache", "gc", "--keep-last", "-1"], "error: --keep-last -1 must be at least 0"), (["vlm-serve", "x", "--host", "--port", "1"], "error: Missing value for '--host <host>'"),
        (["vlm-serve", "x", "--allowed-origins", "localhost"], "error: --allowed-origins localhost is no origin of a page"),
        (["vlm-serve", "x", "--cors-origins", "http://a,b"], "error: --cors-origins http://a,b: --allowed-origins b is no origin"),
        (["vlm-serve", "x", "--mm-processor-cache-gb", "-1"], "error: --mm-processor-cache-gb -1: The value '-1Gi' is invalid for '--image-cache-bytes"),
        (["vlmc", "compile"], "error: Missing expected argument"), (["vlmc", "compile", "x", "--precision", "best"], "error: --precision best: it is exact or balanced\nUsage: vlmc compile ["),
        (["vlmc", "compile", "x", "--fource"], "Did you mean '--force'?"), (["vlm-cache", "shwo", "x"], "error: vlm-cache has no verb shwo; did you mean show?"),
        (["vlm-cache", "gc", "--max-bytes", "1K"], "error: The value '1K' is invalid"),
        (["vlmc", "compile", "x", "--max-model-len", "0"], "error: --max-model-len 0 must be at least 1"), (["vlmc", "doctor", "x", "--decode-gears", "2,2"], "error: --decode-gears: 2 stands there twice"),
        (["vlmc", "compile", "x", "--max-num-seqs", "5000"], "error: --max-num-seqs 5000 is above 1024"), (["vlm-serve", "x", "--max-num-seqs", "5000"], "error: --max-num-seqs 5000 is above 1024"),
        (["vlm-serve", "x", "--max-num-seqs", "8", "--max-num-batched-tokens", "2"], "error: --max-num-batched-tokens 2 is below --max-num-seqs 8"),
        (["vlmc", "explain", "fuse-qkv", "x", "--quantize", "int8", "--precision", "exact"], "error: --quantize int8: exact precision keeps weights"),
        (["vlmc", "bench", "x", "--sequences", "0"], "error: --sequences 0: \"0\" is no number of at least 1"), (["vlmc", "bench", "x", "--contexts", "5"], "error: --contexts 5: name two lengths"),
        (["vlmc", "bench", "x", "--rounds", "0"], "error: --rounds 0 must be at least 1"), (["vlmc", "run", "x", "hi", "--fps", "2"], "error: --fps is of videos; give one by --video"),
        (["vlmc", "run", "x", "hi", "--num-frames", "2", "--image", "y"], "error: --num-frames is of videos"), (["vlmc", "opt", "--pass", "fuse-qkv", "--stop-after", "fused"], "error: --stop-after is of --pipeline"),
        (["vlmc", "opt", "--list", "--pipeline"], "error: --list runs nothing"), (["vlmc", "compile", "x", "--stop-after", "fused", "-o", "y"], "error: --stop-after stores nothing"),
        (["vlm-cache", "passes", "x", "--pass", "a", "--diff", "b"], "error: --diff names its pass itself, b"),
        (["vlm-serve", "x", "--allow-private-media-addresses"], "error: --allow-private-media-addresses needs --allowed-media-domains"),
        (["vlm-serve", "x", "--media-redirects"], "error: --media-redirects needs --allowed-media-domains"),
        (["vlm-serve", "x", "--image-fetch-timeout", "5", "--allowed-local-media-path", "/"], "error: --image-fetch-timeout needs --allowed-media-domains"),
        (["vlmc", "run", "x", "hi", "--temp", "1"], "error: Unknown option '--temp'. Did you mean '--temperature'?\n"), (["vlm-cache", "gc", "--keep", "1"], "Did you mean '--keep-last'?"),
        (["vlmc", "compile", "x", "--dtype", "f"], "error: Unknown option '--dtype'\n"), (["vlmc", "run", "x", "hi", "--n", "3"], "error: Unknown option '--n'\n"),
        (["vlm-serve", "run-batch", "-o", "b", "-i", "a", "x", "--max-body", "3"], "Unknown option '--max-body'. Did you mean '--max-body-bytes'?"), (["vlm-cache", "list"], "error: vlm-cache has no verb list; did you mean ls?"),
    ])
    func wrongUsageEndsWith64AndTheUsage(words: [String], message: String) throws {
        try checkUsage(words, message)
    }

    private func checkUsage(_ words: [String], _ message: String, environment: [String: String] = [:]) throws {
        let outcome = try Command(words[0], Array(words.dropFirst()), environment: environment).run()
        #expect(outcome.status == 64 && outcome.output.isEmpty, "\(outcome)")
        #expect(outcome.errors.hasPrefix("error: ") && outcome.errors.contains(message) && outcome.errors.lowercased().contains("usage: \(words[0])"), "\(outcome.errors)")
    }

    /// What is wrong is told with the place where it was written.
    @Test func wrongValuesAreToldWithTheirPlace() throws {
        let space = try Workspace()
        let config = space.path("config.yaml")
        for (text, message) in [
            ("host: localhost\nport: x\n", "error: \(config), line 2: The value 'x' is invalid for '--port <port>'"), ("prot: 1\n", "error: \(config), line 1: vlm-serve has no flag --prot; did you mean port?"),
            ("threads: -1\n", "error: \(config), line 1: --threads -1 is not in 1"),
        ] {
            try Data(text.utf8).write(to: URL(filePath: config))
            try checkUsage(["vlm-serve", "x", "--config", config], message)
        }
        try checkUsage(["vlm-serve", "x"], "error: VLLM_MAX_IMAGE_PIXELS=0: --max-image-pixels must be at least 1", environment: ["VLLM_MAX_IMAGE_PIXELS": "0"])
        try checkUsage(["vlmc", "compile", "x"], "error: VLM_DEBUG=all is no level; 0 to 5 are", environment: ["VLM_DEBUG": "all"])
    }

    /// The verbs that a program is asked for after another one's name are those that it has.
    @Test func theVerbsOfTheProgramsAreKnown() throws {
        for (program, verbs) in Verbs.all where program != "vlm-serve" {
            let dump = try JSONSerialization.jsonObject(with: Data(Command(program, ["--experimental-dump-help"]).run().output.utf8)) as? [String: Any]
            let commands = (dump?["command"] as? [String: Any])?["subcommands"] as? [[String: Any]] ?? []
            #expect(commands.compactMap { $0["commandName"] as? String }.filter { $0 != "help" } == verbs)
        }
        #expect(try serve("help").output == serve("--help").output)
    }

    /// What the command line names is looked for before anything is compiled.
    @Test func wrongPathsAreFoundBeforeAnythingIsCompiled() throws {
        let space = try Workspace()
        let model = Workspace.demoModel
        try Data("{}\n".utf8).write(to: URL(filePath: space.path("in.jsonl")))
        let none = space.path("none")
        for (words, message) in [
            (["run-batch", "-i", none, "-o", space.path("out"), model], "--input-file \(none): No such file or directory"),
            (["run-batch", "-i", space.path("in.jsonl"), "-o", none + "/out", model], "--output-file \(none)/out: No such file or directory"),
            (["run-batch", "-i", space.path("in.jsonl"), "-o", space.path("in.jsonl"), model], "line 1 of \(space.path("in.jsonl")) is no result of a batch; give another file for results"),
            ([model, "--enable-lora", "--lora-modules", "a=\(none)"], "--lora-modules a=\(none): \(none)/adapter_config.json"),
            ([model, "--kv-cache-dir", "/etc/passwd"], "--kv-cache-dir: cannot open /etc/passwd: Not a directory"), ([model, "--kv-cache-dir", none + "/a"], "--kv-cache-dir: cannot create \(none)/a: No such file or directory"),
            ([model, "--allowed-local-media-path", none], "--allowed-local-media-path \(none): No such file or directory"),
            ([model, "--generation-config", none], "--generation-config \(none)/generation_config.json cannot be read: No such file or directory"),
            (["acme/tiny-vl:Q4"], "acme/tiny-vl:Q4 has the suffix :Q4, which chooses a GGUF file"),
        ] {
            let flags = words[0] == "run-batch" ? [] : ["--port", "0"]
            let outcome = try Command("vlm-serve", words + ["--store", space.store] + flags).run()
            #expect(outcome.status == 1 && outcome.errors.hasPrefix("error: \(message)"), "\(words): \(outcome.errors)")
        }
        #expect(!FileManager.default.fileExists(atPath: space.store) && !FileManager.default.fileExists(atPath: space.path("out")))
        let unsure = try Command("vlm-serve", [model, "--store", space.store, "--port", "0"], environment: ["VLM_TRUST_STORE": "maybe"]).run()
        #expect(unsure.status == 1 && unsure.errors == "error: VLM_TRUST_STORE=maybe is neither 0 nor 1\n", "\(unsure.errors)")
        let mistyped = try Command("vlmc", ["explain", "fuse-atention", model, "--store", space.store]).run()
        #expect(mistyped.status == 1 && mistyped.errors.hasPrefix("error: there is no pass fuse-atention; did you mean fuse-attention? The passes are "), "\(mistyped.errors)")
        let unwritable = try Command("vlm-serve", [model, "--store", "/dev/null/store", "--port", "0"]).run()
        #expect(unwritable.status == 1 && unwritable.errors.contains("; choose another store by --store DIR or VLM_STORE\n"), "\(unwritable.errors)")
    }

    @Test func theArtifactIsCheckedAgainstWhatWasAsked() throws {
        let space = try Workspace()
        let artifact = try space.compile(Workspace.demoModel)
        for (flags, message) in [
            (["--dtype", "float32"], "--dtype float32: the artifact was compiled with --precision balanced; compile the model again: vlmc compile DIR --precision exact"),
            (["--enforce-eager"], "--enforce-eager: the plans of the artifact are fused; compile the model again: vlmc compile DIR --rewrite-limit 0"),
            (["--kv-cache-dtype", "fp8"], "--kv-cache-dtype fp8: the KV cache of the artifact is bf16; f32 and bf16 are possible"),
            (["-ctk", "f32"], "--kv-cache-dtype f32: the KV cache of the artifact is bf16; compile the model again: vlmc compile DIR --precision exact"),
            (["--quantization", "awq"], "--quantization awq: the checkpoint of the artifact is not quantized; compile one that is quantized so"),
        ] {
            let outcome = try Command("vlm-serve", [artifact] + flags).run()
            #expect(outcome.status == 1 && outcome.errors == "error: \(message)\n", "\(outcome.errors)")
        }
        let quantized = try space.compile(Workspace.fixtures.appending(path: "qwen2_vl_awq").path)
        let other = try serve(quantized, "--quantization", "gptq")
        #expect(other.errors == "error: --quantization gptq: the checkpoint of the artifact is quantized by awq; compile one that is quantized so\n", "\(other.errors)")
    }

    /// What is decided when compiling is handed on where a model is served; the plain plans answer as the fused ones do.
    @Test func aModelIsCompiledAsAsked() async throws {
        let space = try Workspace()
        let plain = try Server(Workspace.demoModel, ["--store", space.store, "--enforce-eager", "--dtype", "float32", "--kv-cache-dtype", "float32", "--quantization", "none"])
        let fused = try Server(Workspace.demoModel, ["--store", space.store, "--dtype=float"])
        let image = try Data(contentsOf: Workspace.repository.appending(path: "Artifacts/Demo/samples/shapes-two.jpg"))
        let answers = try await [plain.ask("What do you see?", [image], questionFirst: true), fused.ask("What do you see?", [image], questionFirst: true)]
        #expect(answers[0] == answers[1] && answers[0].contains("black star"), "\(answers)")
        #expect(plain.stop() == 0 && fused.stop() == 0)
        #expect(try space.cache("ls").output.split(separator: "\n").count == 3)
    }

    /// A command of llama.cpp's documents and a file of vLLM's: the flags mean what they say.
    @Test func flagsOfOtherServersWork() async throws {
        let space = try Workspace()
        let config = space.path("config.yaml")
        try Data("max-model-len: 2Ki\ntrust-remote-code: true\nlimit-mm-per-prompt: {image: 1}\nserved-model-name: [demo, other]\nn-predict: 3\n".utf8).write(to: URL(filePath: config))
        let server = try Server("--model=\(Workspace.demoModel)", ["--store", space.store, "--config", config, "-np", "2", "-t", "1", "--seed", "7", "-ngl", "99", "--kv-cache-bytes", "64Mi"])
        #expect(server.line(with: "note: --trust-remote-code has no effect: no remote code is ever run") != nil)
        #expect(server.line(with: "for at most 2 sequences") != nil && server.line(with: "maximum concurrency for 2048 tokens") != nil)
        func chat(_ model: String, _ images: Int, temperature: Double = 0) async throws -> [String: Any] {
            let image = try Data(contentsOf: Workspace.repository.appending(path: "Artifacts/Demo/samples/shapes-two.jpg"))
            let content = Server.content("What do you see?", [Data](repeating: image, count: images), questionFirst: true)
            let body: [String: Any] = ["model": model, "temperature": temperature, "messages": [["role": "user", "content": content]]]
            let answer = try await server.chat(JSONSerialization.data(withJSONObject: body))
            return try JSONSerialization.jsonObject(with: answer) as? [String: Any] ?? [:]
        }
        let answer = try await chat("other", 1)
        #expect((answer["usage"] as? [String: Any])?["completion_tokens"] as? Int == 3, "\(answer)")
        #expect(answer["model"] as? String == "demo")
        let refused = try await chat("demo", 2)
        #expect((refused["error"] as? [String: Any])?["message"] as? String == "messages hold 2 images, more than 1 (--limit-mm-per-prompt)", "\(refused)")
        #expect(server.stop() == 0)
    }

    /// The seeds of requests follow from the server's, one after another.
    @Test func aSeedMakesAServerRepeatItself() async throws {
        let space = try Workspace()
        let artifact = try space.compile(Workspace.demoModel)
        func texts(_ seed: String) async throws -> [String] {
            let server = try Server(artifact, "--seed", seed)
            defer { _ = server.stop() }
            var texts: [String] = []
            for _ in 0..<4 {
                let body: [String: Any] = ["model": "model", "temperature": 2, "max_tokens": 16, "messages": [["role": "user", "content": "Hello"]]]
                let answer = try await server.chat(JSONSerialization.data(withJSONObject: body))
                let choices = (try JSONSerialization.jsonObject(with: answer) as? [String: Any])?["choices"] as? [[String: Any]]
                texts.append((choices?.first?["message"] as? [String: Any])?["content"] as? String ?? "none")
            }
            return texts
        }
        let first = try await texts("1")
        #expect(Set(first).count > 1 && !first.contains("none"), "\(first)")
        #expect(try await texts("1") == first)
        #expect(try await texts("2") != first)
    }
}
