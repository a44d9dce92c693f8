import ForeignFlags
import Testing

@Suite struct FlagReaderTests {
    private let reader = FlagReader(own: [
        "--host": true, "--port": true, "--served-model-name": true, "--api-key": true, "--allowed-origins": true, "--max-model-len": true, "--max-num-seqs": true,
        "--max-num-batched-tokens": true, "--threads": true, "--enable-prefix-caching": false, "--no-enable-prefix-caching": false, "--disable-log-requests": false,
        "--override-generation-config": true, "--limit-mm-per-prompt": true, "--kv-cache-bytes": true, "--log-level": true, "--log-format": true, "--seed": true, "--dtype": true, "--image-cache-bytes": true, "--enforce-eager": false,
        "--speculative-model": true, "--speculative-method": true, "--num-speculative-tokens": true, "--ngram-prompt-lookup-max": true, "--ngram-prompt-lookup-min": true,
        "--image-fetch-timeout": true, "--max-image-pixels": true, "--media-redirects": false, "--no-media-redirects": false, "--allowed-media-domains": true, "--enable-lora": false, "--lora-modules": true,
    ])

    private func words(_ line: String) throws -> String { try reader.read(line.split(separator: " ").map(String.init)).arguments.joined(separator: " ") }

    /// Commands of vLLM's and llama.cpp's documents, and what they are here.
    @Test(arguments: [
        ("dir --port 1", "dir --port 1"),
        ("--model dir --max_model_len=4096", "dir --max-model-len 4096"),
        ("-m dir -c 8192 -ngl 99 -t 4 -np 2 -a one,two", "dir --max-model-len 8192 --threads 4 --max-num-seqs 2 --served-model-name one --served-model-name two"),
        ("-m dir -c 0 -t -1 -np -1 -fa -n -1 -s -1 --no-webui=", "error"),
        ("-m dir -c 0 -t -1 -np -1 -fa -n -1 -s -1", "dir"),
        ("-hf a/b -fa on -b 512 -ub 512 --jinja -v", "a/b --max-num-batched-tokens 512 --log-level debug"),
        ("dir --served-model-name a b --api-key k l --port 1", "dir --served-model-name a --served-model-name b --api-key k --api-key l --port 1"),
        ("--served-model-name a dir", "--served-model-name a dir"),
        ("--enable-lora --lora-modules a=b c=d dir", "--enable-lora --lora-modules a=b --lora-modules c=d dir"),
        (#"dir --lora-modules a=b {"name":"c"} --enable-lora"#, #"dir --lora-modules a=b --lora-modules {"name":"c"} --enable-lora"#),
        (#"dir --allowed-origins ["https://a","https://b"]"#, "dir --allowed-origins https://a --allowed-origins https://b"),
        ("dir --trust-remote-code --tool-call-parser mistral --enable-auto-tool-choice --swap-space 4 --device cpu", "dir"),
        ("dir --uvicorn-log-level critical --no-enable-log-requests", "dir --log-level error --disable-log-requests"),
        ("dir --temp 0.7 --top-k 40 -n 100", #"dir --override-generation-config {"temperature": 0.7} --override-generation-config {"top_k": 40} --override-generation-config {"max_new_tokens": 100}"#),
        ("dir --multi-step-stream-outputs false --num-scheduler-steps 8 --mm-processor-cache-gb 4", "dir --image-cache-bytes 4Gi"),
        ("dir --limit-mm-per-prompt.video 0 --port 1 --limit_mm_per_prompt.image=2 -O.cudagraph_mode=FULL -O3",
         #"dir --limit-mm-per-prompt {"video":0,"image":2} --port 1"#),
        ("dir --override-generation-config.top_p 0.5 -- --port.x 1", #"dir --override-generation-config {"top_p":0.5} -- --port.x 1"#),
        ("dir --language-model-only --kv-cache-memory-bytes 4G --typical 1.0 --presence-penalty 0", #"dir --limit-mm-per-prompt {"image": 0, "video": 0} --kv-cache-bytes 4G"#),
        ("dir --enable-prefix-caching=False --enable-chunked-prefill true --media-redirects=true", "dir --no-enable-prefix-caching --media-redirects"),
        ("--trust-remote-code False --disable-log-requests=false --no-media-redirects FALSE --use-v2-block-manager=True dir", "--media-redirects dir"),
        ("dir.v2 --port 1", "dir.v2 --port 1"),
        ("dir --nonsense --help -- -c", "dir --nonsense --help -- -c"),
        ("dir --host", "dir --host"), ("dir --host --port=1", "dir --host --port 1"), ("dir --host -ngl 9", "dir --host"), ("dir --seed -1", "dir --seed -1"),
        ("dir --temperature 0.5 --cors-origins https://a,https://b --spec-draft-model d --spec-draft-n-max 3 -td 2 -kvo -lm mmap -no-kvu --embd-normalize 2",
         #"dir --override-generation-config {"temperature": 0.5} --allowed-origins https://a --allowed-origins https://b --speculative-model d --num-speculative-tokens 3"#),
        ("dir --log-jsonl --no-log-prefix --reasoning auto -ngl all --max-num-scheduled-tokens 64 --node-rank 0 -dcp 1", "dir --log-format json --max-num-batched-tokens 64"),
        // What is on or off may be taken back, ours and vLLM's.
        ("dir --enforce-eager --no-enforce-eager --no-enable-lora --no-disable-log-requests", "dir"), ("dir --no-enforce-eager --enforce-eager", "dir --enforce-eager"),
        ("dir --enforce-eager --enforce_eager=False --no-trust-remote-code --no-headless --no-language-model-only", "dir"),
        ("dir --disable-log-requests --no-disable-uvicorn-access-log --no-multi-step-stream-outputs", "dir"), ("dir --no-media-redirects --no-nonsense", "dir --no-media-redirects --no-nonsense"),
    ])
    func becomesOurs(line: String, ours: String) throws {
        if ours == "error" {
            #expect(throws: FlagError.self) { try words(line) }
        } else {
            #expect(try words(line) == ours)
        }
    }

    @Test func whatHasNoEffectIsSaidOnce() throws {
        let reading = try reader.read(["dir", "--trust-remote-code", "-ngl", "99", "--trust-remote-code", "--max-logprobs", "20"])
        #expect(reading.arguments == ["dir"])
        #expect(
            reading.notes == [
                "--trust-remote-code has no effect: no remote code is ever run", "-ngl has no effect: there is no GPU to put anything on",
                "--max-logprobs 20 has no effect: it is what is done anyway",
            ])
    }

    /// All that cannot be done, at once.
    @Test(arguments: [
        (["--enable-prompt-adapter", "--prompt-adapters", "a=b", "c=d", "--mmproj", "f"], ["--enable-prompt-adapter: adapters of prompts", "--prompt-adapters: adapters of prompts", "--mmproj: the vision tower is part of the artifact"]),
        (["--device", "cuda"], ["--device cuda: artifacts run on the CPU"]), (["-tb"], ["-tb needs a value"]), (["--pipeline-parallel-size=2"], ["--pipeline-parallel-size 2: a model is not split"]),
        (["--trust-remote-code=yes"], ["--trust-remote-code takes no value, such as yes"]), (["--max-logprobs", "5"], ["--max-logprobs 5: up to 20"]),
        (["a", "-m", "b"], ["the model is named twice: a and b"]), (["--temp", "hot"], ["--temp hot is no number"]), (["--uvicorn-log-level", "loud"], ["--uvicorn-log-level loud is none of critical, debug"]),
        (["--limit-mm-per-prompt.image"], ["--limit-mm-per-prompt.image needs a value"]), (["--presence-penalty", "1.5"], ["--presence-penalty 1.5: requests say it: presence_penalty"]),
        (["--media-io-kwargs", "{}"], ["--media-io-kwargs: images are read as the model's processor reads them; --mm-processor-kwargs"]),
        (["--num-scheduler-steps", "x"], ["--num-scheduler-steps x is no number"]), (["-ngl", "most"], ["-ngl most is no number, and none of auto, all"]), (["--mm-processor-cache-gb=x"], ["--mm-processor-cache-gb x is no number"]),
        (["--reasoning", "off", "-ep", "-dcp", "2", "--embd-normalize", "-1"], ["--reasoning off: requests say it: chat_template_kwargs", "-ep: a model is not split", "-dcp 2: a model is not split", "--embd-normalize -1: an embedding has length 1"]),
        (["--tool-server", "demo", "--video-fps", "2", "--no-mmproj-auto"], ["--tool-server: tools are the client's", "--video-fps: give --mm-processor-kwargs '{\"fps\": …}'", "--no-mmproj-auto: the vision tower is part"]),
        (["--allowed-origins", "[1]"], ["--allowed-origins [1] is no JSON list of strings"]),
    ])
    func whatCannotBeDoneIsAnError(line: [String], messages: [String]) {
        let error = #expect(throws: FlagError.self) { try reader.read(line) }
        let lines = (error?.description ?? "").split(separator: "\n")
        #expect(lines.count == messages.count && zip(lines, messages).allSatisfy { $0.hasPrefix($1) }, "\(lines)")
    }

    /// Flags win over variables, whichever way they are spelled.
    @Test(arguments: [
        ("dir --allowed-media-domains a", "VLLM_IMAGE_FETCH_TIMEOUT=10", "dir --allowed-media-domains a --image-fetch-timeout 10", "VLLM_IMAGE_FETCH_TIMEOUT=10 is taken as --image-fetch-timeout 10"),
        ("dir --image-fetch-timeout 3", "VLLM_IMAGE_FETCH_TIMEOUT=10", "dir --image-fetch-timeout 3", ""),
        ("dir", "VLLM_IMAGE_FETCH_TIMEOUT=10", "dir", "VLLM_IMAGE_FETCH_TIMEOUT has no effect without --allowed-media-domains"),
        ("dir", "VLLM_MEDIA_URL_ALLOW_REDIRECTS=1", "dir", "VLLM_MEDIA_URL_ALLOW_REDIRECTS has no effect without --allowed-media-domains"),
        ("dir --allowed-media-domains a", "VLLM_MEDIA_URL_ALLOW_REDIRECTS=1", "dir --allowed-media-domains a --media-redirects", "VLLM_MEDIA_URL_ALLOW_REDIRECTS=1 is taken as --media-redirects"),
        ("dir --no-media-redirects", "VLLM_MEDIA_URL_ALLOW_REDIRECTS=1", "dir --no-media-redirects", ""),
        ("dir --allowed-media-domains a", "VLLM_MEDIA_URL_ALLOW_REDIRECTS=0", "dir --allowed-media-domains a --no-media-redirects", "VLLM_MEDIA_URL_ALLOW_REDIRECTS=0 is taken as --no-media-redirects"),
        ("dir", "VLLM_MAX_IMAGE_PIXELS= 4096 ", "dir --max-image-pixels 4096", "VLLM_MAX_IMAGE_PIXELS=4096 is taken as --max-image-pixels 4096"),
        ("dir", "OMP_NUM_THREADS=4,2", "dir --threads 4", "OMP_NUM_THREADS=4,2 is taken as --threads 4"), ("dir -t 8", "OMP_NUM_THREADS=4", "dir --threads 8", ""),
        ("dir", "OMP_NUM_THREADS=", "dir", ""), ("dir", "VLLM_API_KEY=k", "dir", ""), ("dir", "SOMETHING=1", "dir", ""),
        ("dir", "PTA_TORCHAIR_DECODE_GEAR_ENABLE=1", "dir", "PTA_TORCHAIR_DECODE_GEAR_ENABLE has no effect: decode gears are decided when compiling: vlmc compile --decode-gears 1,2,4"),
        ("dir", "PTA_TORCHAIR_DECODE_GEAR_LIST=2,4", "dir", "PTA_TORCHAIR_DECODE_GEAR_LIST has no effect: decode gears are decided when compiling: vlmc compile --decode-gears 1,2,4"),
        ("dir", "ASCEND_RT_VISIBLE_DEVICES=0", "dir", "ASCEND_RT_VISIBLE_DEVICES has no effect: artifacts run on the CPU; --threads says on how much of it"),
        ("dir", "VLLM_ENGINE_ITERATION_TIMEOUT_S=60", "dir", "VLLM_ENGINE_ITERATION_TIMEOUT_S has no effect: no step is given up for the time that it takes; --request-deadline bounds what comes before"),
    ])
    func variablesCountWhereNoFlagDoes(line: String, variable: String, ours: String, note: String) throws {
        let sides = variable.split(separator: "=", omittingEmptySubsequences: false).map(String.init)
        let reading = try reader.read(line.split(separator: " ").map(String.init), variables: [sides[0]: sides[1]])
        #expect(reading.arguments.joined(separator: " ") == ours)
        #expect(reading.notes == (note.isEmpty ? [] : [note]))
    }

    @Test(arguments: [
        ("VLLM_IMAGE_FETCH_TIMEOUT", "soon", "VLLM_IMAGE_FETCH_TIMEOUT=soon is no number"), ("OMP_NUM_THREADS", "0", "OMP_NUM_THREADS=0 is no number of threads"),
        ("VLLM_MEDIA_URL_ALLOW_REDIRECTS", "yes", "VLLM_MEDIA_URL_ALLOW_REDIRECTS=yes is neither 0 nor 1"), ("VLLM_ENGINE_ITERATION_TIMEOUT_S", "x", "VLLM_ENGINE_ITERATION_TIMEOUT_S=x is no number"),
        ("PTA_TORCHAIR_DECODE_GEAR_ENABLE", "2", "PTA_TORCHAIR_DECODE_GEAR_ENABLE=2 is neither 0 nor 1"), ("ASCEND_RT_VISIBLE_DEVICES", "0,a", "ASCEND_RT_VISIBLE_DEVICES=0,a is no list of whole numbers"),
    ])
    func wrongVariablesAreErrors(name: String, value: String, message: String) {
        #expect(#expect(throws: FlagError.self) { try reader.read(["dir"], variables: [name: value]) }?.description == message)
    }

    /// vLLM's object in the flags of its earlier versions; of the bounds one that is left out is the other.
    @Test(arguments: [
        (#"{"method": "ngram", "num_speculative_tokens": 5, "prompt_lookup_max": 4, "prompt_lookup_min": 2}"#, ["5", "4", "2"]),
        (#"{"model": "[ngram]", "num_speculative_tokens": 2, "prompt_lookup_max": 3}"#, ["2", "3", "3"]),
        (#"{"method": "ngram", "num_speculative_tokens": 2, "prompt_lookup_min": 1}"#, ["2", "1", "1"]),
        (#"{"method": "ngram", "num_speculative_tokens": 2}"#, ["2", "5", "5"]),
    ])
    func speculationIsToldInOneObject(object: String, numbers: [String]) throws {
        let words = try reader.read(["dir", "--speculative-config", object]).arguments
        #expect(
            words == [
                "dir", "--speculative-model", "[ngram]", "--num-speculative-tokens", numbers[0], "--ngram-prompt-lookup-max", numbers[1],
                "--ngram-prompt-lookup-min", numbers[2],
            ])
    }

    @Test(arguments: [
        [#"--speculative-config={"model": "a/draft", "num_speculative_tokens": 3}"#],
        ["--speculative-config", #"{"method": "draft_model", "model": "a/draft", "num_speculative_tokens": 3, "draft_tensor_parallel_size": 1}"#],
        ["-md", "a/draft", "--draft-max", "3"], ["--model-draft", "a/draft", "--draft", "3", "--draft-min", "1", "-ngld", "99", "-cd", "0"],
        ["--speculative-model", "a/draft", "--num-speculative-tokens", "3", "--speculative-draft-tensor-parallel-size", "1"],
    ])
    func aDraftModelIsNamedInThreeWays(flags: [String]) throws {
        #expect(try reader.read(["dir"] + flags).arguments == ["dir", "--speculative-model", "a/draft", "--num-speculative-tokens", "3"])
    }

    @Test(arguments: ["eagle", "eagle3"]) func aHeadIsADraftModelOfAMethod(method: String) throws {
        let object = #"{"method": "\#(method)", "model": "a/head", "num_speculative_tokens": 3}"#
        #expect(
            try reader.read(["dir", "--speculative-config", object]).arguments
                == ["dir", "--speculative-model", "a/head", "--speculative-method", method, "--num-speculative-tokens", "3"])
    }

    @Test(arguments: [
        (#"{"method": "medusa", "model": "a/head", "num_speculative_tokens": 5}"#, "--speculative-config: method must be \"ngram\", \"draft_model\", \"eagle\" or \"eagle3\": other heads that read hidden states are not served"),
        (#"{"method": "eagle3", "num_speculative_tokens": 5}"#, "--speculative-config: method eagle3 needs the \"model\" of a head"),
        (#"{"model": "", "num_speculative_tokens": 5}"#, "--speculative-config: model must be a string"), (#"{"model": 1, "num_speculative_tokens": 5}"#, "--speculative-config: model must be a string"),
        (#"{"model": "a/draft"}"#, "--speculative-config needs num_speculative_tokens"), (#"{"method": "draft_model", "num_speculative_tokens": 5}"#, "--speculative-config: method draft_model needs the \"model\""),
        (#"{"model": "a/draft", "num_speculative_tokens": 5, "prompt_lookup_max": 3}"#, "--speculative-config: prompt_lookup_max is of \"method\": \"ngram\"; a/draft is a draft model"),
        (#"{"model": "a/draft", "num_speculative_tokens": 5, "draft_tensor_parallel_size": 2}"#, "--speculative-config: draft_tensor_parallel_size 2: models are not split"),
        (#"{"num_speculative_tokens": 5}"#, "--speculative-config needs \"method\""), (#"{"method": "ngram"}"#, "--speculative-config needs num_speculative_tokens"),
        (#"{"method": "ngram", "num_speculative_tokens": 0}"#, "--speculative-config: num_speculative_tokens must be"),
        (#"{"method": "ngram", "num_speculative_tokens": 1.5}"#, "--speculative-config: num_speculative_tokens must be"),
        (#"{"method": "ngram", "num_speculative_tokens": 5, "disable_by_batch_size": 2}"#, "--speculative-config: disable_by_batch_size is none of"),
        (#"{"method": 3}"#, "--speculative-config: method must be"), ("[]", "--speculative-config [] is no JSON object"), ("{", "--speculative-config { is no JSON object"),
    ])
    func otherSpeculationIsAnError(object: String, message: String) {
        let error = #expect(throws: FlagError.self) { try reader.read(["dir", "--speculative-config", object]) }
        #expect(error?.description.hasPrefix(message) == true, "\(error?.description ?? "")")
    }

    @Test func severalDomainsStandBehindOneFlag() throws {
        #expect(try words("dir --allowed-media-domains a.example b.example --port 1") == "dir --allowed-media-domains a.example --allowed-media-domains b.example --port 1")
    }

    @Test func theCommandLineWinsOverTheFile() throws {
        let file = try ConfigFile(
            Array(
                """
                # as vLLM's documents have it
                model: dir
                host: "127.0.0.1"
                port: 6379
                max_model_len: 4096
                trust-remote-code: true
                enable-prefix-caching: false
                enforce-eager: no
                disable-log-requests: on
                served-model-name: [a, 'b c']
                limit-mm-per-prompt: {image: 2, video: 0}
                allowed-origins:
                  - https://a
                  - https://b
                temp: 0.5
                c: 8
                """.utf8), name: "f.yaml")
        func read(_ words: String...) throws -> [String] { try reader.read(words, entries: file.entries.dropLast()).arguments }
        #expect(
            try read("--port", "1") == [
                "dir", "--host", "127.0.0.1", "--max-model-len", "4096", "--no-enable-prefix-caching", "--disable-log-requests", "--served-model-name", "a",
                "--served-model-name", "b c", "--limit-mm-per-prompt", #"{"image":2,"video":0}"#, "--allowed-origins", "https://a", "--allowed-origins", "https://b",
                "--override-generation-config", #"{"temperature": 0.5}"#, "--port", "1",
            ])
        let given = try read("other", "-c", "7", "--served-model-name", "x", "--enable-prefix-caching", "--top-p", "1")
        #expect(given.suffix(8) == ["other", "--max-model-len", "7", "--served-model-name", "x", "--enable-prefix-caching", "--override-generation-config", #"{"top_p": 1}"#])
        #expect(!given.contains("dir") && !given.contains("4096") && !given.contains("a") && !given.contains("--no-enable-prefix-caching"))
        #expect(given.contains(#"{"temperature": 0.5}"#))
        #expect(throws: FlagError("f.yaml, line 16: vlm-serve has no flag --c")) { try reader.read([], entries: file.entries) }
    }

    /// An error of a flag of ours can name what was written.
    @Test func whatWasWrittenIsKnown() throws {
        let file = try ConfigFile(Array("port: x\nmax-model-len: 8\nenforce-eager: true\nno-enable-lora: true".utf8), name: "f.yaml")
        let words = ["dir", "--mm-processor-cache-gb", "4", "-c", "8", "--no-enable-prefix-caching", "-t", "2", "--threads", "3", "--no-enforce-eager"]
        let reading = try reader.read(words, entries: file.entries, variables: ["VLLM_MAX_IMAGE_PIXELS": "0"])
        #expect(reading.arguments.joined(separator: " ") == "--port x dir --image-cache-bytes 4Gi --max-model-len 8 --no-enable-prefix-caching --threads 2 --threads 3 --max-image-pixels 0")
        #expect(
            reading.origins == [
                "--port": "f.yaml, line 1", "--image-cache-bytes": "--mm-processor-cache-gb 4", "--max-model-len": "-c 8", "--max-image-pixels": "VLLM_MAX_IMAGE_PIXELS=0",
            ])
    }

    @Test func aFlagThatAFileMistypesIsToldWithTheOneThatWasMeant() throws {
        let reader = FlagReader(own: ["--port": true, "--host": true]) { word, words in word == "--prot" ? words.last : nil }
        for (text, message) in [("prot: 1", "f.yaml, line 1: vlm-serve has no flag --prot; did you mean port?"), ("x: 1", "f.yaml, line 1: vlm-serve has no flag --x")] {
            let file = try ConfigFile(Array(text.utf8), name: "f.yaml")
            #expect(throws: FlagError(message)) { try reader.read([], entries: file.entries) }
        }
    }

    @Test(arguments: [
        ("- a", "f, line 1: the file must be a mapping, such as max-model-len: 4096"), ("a: {b: [c]}", "f, line 1: a.b must be a value"), ("a: [[b]]", "f, line 1: a must be a value or a list of values"),
        ("a: 1\na: 2", "f, line 2: a stands there twice"), ("config: b.yaml", "f, line 1: a configuration file names no other one"), ("a:\n", "f, line 1: a has no value"), ("a: []", "f, line 1: a is an empty list"), ("a: &x 1", "f, line 1: anchors and tags are not read"),
        ("a: 1\n---\nb: 2", "f, line 2: only one document is read"), ("a: *x", "f, line 1: "), ("a: !!str 1", "f, line 1: anchors and tags"), ("a: \"b", "f, line "), ("\tb: 1", "f, line 1: "), ("a: b: c", "f, line 1: "), ("\u{1}", "f, line 1: "),
    ])
    func filesOfAnotherFormAreRefused(text: String, message: String) {
        let error = #expect(throws: FlagError.self) { try ConfigFile(Array(text.utf8), name: "f") }
        #expect(error?.description.hasPrefix(message) == true, "\(error?.description ?? "")")
    }

    @Test func valuesKeepTheirForm() throws {
        #expect(try ConfigFile([], name: "f").entries == [] && ConfigFile(Array("# nothing\n".utf8), name: "f").entries == [])
        let entries = try ConfigFile(Array("a: 'true'\nb: YES\nc: |\n  x\n  y\nd: 010\ne: tRue\nf: {g: ~, h: 1.5, i: 'no', j: off}".utf8), name: "f").entries
        #expect(entries.map(\.value) == [.text("true"), .flag(true), .text("x\ny\n"), .text("010"), .text("tRue"), .text(#"{"g":null,"h":1.5,"i":"no","j":false}"#)])
        #expect(throws: FlagError.self) { try ConfigFile([UInt8](repeating: 0x20, count: ConfigFile.largest + 1), name: "f") }
        #expect(throws: FlagError.self) { try ConfigFile(Array(String(repeating: "[", count: 100_000).utf8), name: "f") }
        #expect(throws: FlagError.self) { try ConfigFile([0x61, 0x3A, 0x20, 0xFF, 0xFE], name: "f") }
    }

    /// A flag has one meaning, and none that is ours has another's.
    @Test func theTableHasEachNameOnce() {
        let names = ForeignFlag.all.flatMap(\.names)
        #expect(Dictionary(grouping: names, by: { $0 }).filter { $0.value.count > 1 }.keys.sorted() == [])
        #expect(names.allSatisfy { $0.hasPrefix("-") && !$0.contains("_") && !$0.contains("=") })
    }

    @Test func limitsOfImages() throws {
        #expect(try MediaLimits("image=2").images == 2 && MediaLimits("video=1,image=0").images == 0 && MediaLimits("audio=3").images == nil)
        #expect(try MediaLimits("image=1,audio=2").note == "audio=2 has no effect: no audio is taken" && MediaLimits("image=1,audio=0").note == nil)
        #expect(try MediaLimits(#"{"image": 4, "video": 0}"#).images == 4 && MediaLimits(#"{"image": {"count": 5, "width": 9}}"#).images == 5)
        for text in ["", "image", "image=", "image=-1", "image=x", "images=1", "{}x", "[1]", #"{"image": "2"}"#, #"{"image": -2}"#, "image=1,"] {
            #expect(throws: FlagError.self, "\(text)") { try MediaLimits(text) }
        }
    }
}
