extension ForeignFlag {
    private static let prompts = "adapters of prompts are not served; those of layers are (--enable-lora)"
    private static let compiledAhead = "plans are compiled ahead, for the batch sizes of vlmc compile --decode-gears"
    private static let oneProcess = "one process computes, on the CPU"
    private static let inMemory = "weights are mapped, and the KV cache stays in memory: --kv-cache-bytes says how large it is"
    private static let noDownloads = "nothing is downloaded"
    private static let config = "what config.json says is decided when compiling: change it in the model directory"
    static let sharing = "a model is not split: run a server on each machine, with a load balancer before them"

    /// Those of vLLM, from 0.6.3 on, that `vlm-serve` does not have under the same name.
    static let vllm = model + network + answers + engine + vision + later

    private static let model = [
        ForeignFlag("-m --model -hf -hfr --hf-repo", .one, .becomes("the model, as if it stood alone") { value throws(FlagError) in [value] }),
        ForeignFlag("--tokenizer --tokenizer-revision", .one, .refused("the tokenizer is part of the artifact: put its files into the model directory, and compile that")),
        ForeignFlag("--tokenizer-mode", .one, .only(["auto"], "the tokenizer is the one that the model directory describes")),
        ForeignFlag("--skip-tokenizer-init", .none, .refused("texts are what is served")),
        ForeignFlag("--revision", .one, .refused("give the directory of that snapshot in HuggingFace's cache as the model")),
        ForeignFlag("--code-revision", .one, .nothing("no remote code is ever run")),
        ForeignFlag("--trust-remote-code", .none, .nothing("no remote code is ever run")),
        ForeignFlag("--download-dir --hf-token -hft --ignore-patterns", .one, .nothing(noDownloads)),
        ForeignFlag("--load-format", .one, .only(["auto", "safetensors"], "weights are read from safetensors alone")),
        ForeignFlag("--config-format", .one, .only(["auto", "hf"], "models are read from HuggingFace's directories alone")),
        ForeignFlag("--hf-config-path --hf-overrides --rope-scaling --rope-theta --quantization-param-path --model-loader-extra-config", .one, .refused(config)),
        ForeignFlag("--disable-sliding-window", .none, .refused(config)),
        ForeignFlag("--use-tqdm-on-load --no-use-tqdm-on-load", .none, .nothing("a bar is drawn on a terminal")),
        ForeignFlag("--task --runner", .one, .only(["auto", "generate", "embed", "embedding", "pooling"], "answers and embeddings are all that is served")),
        ForeignFlag("--convert", .one, .only(["auto", "none", "embed"], "answers and embeddings are all that is served")),
        ForeignFlag("--safetensors-load-strategy", .one, .nothing("packed weights are mapped from the artifact")),
        ForeignFlag("--mm-encoder-only", .none, .refused("answers and embeddings are what is served; features of images are not told")),
        ForeignFlag("--model-impl", .one, .only(["auto"], "the model is the one that was compiled")),
    ]

    private static let network = [
        ForeignFlag("--uvicorn-log-level", .one, .becomes("--log-level, trace as debug and critical as error") { value throws(FlagError) in
            let known = ["trace": "debug", "debug": "debug", "info": "info", "warning": "warning", "error": "error", "critical": "error"]
            guard let level = known[value.lowercased()] else { throw FlagError("--uvicorn-log-level \(value) is none of \(known.keys.sorted().joined(separator: ", "))") }
            return ["--log-level", level]
        }),
        ForeignFlag("--allow-credentials", .none, .refused("pages send the key in a header; cookies are not read")),
        ForeignFlag("--allowed-methods --allowed-headers", .one, .only([#"["*"]"#, "*"], "pages of --allowed-origins may use every route")),
        ForeignFlag("--enable-ssl-refresh", .none, .refused("certificates are read once; restart the server when they change")),
        ForeignFlag("--ssl-ciphers", .one, .refused("TLS 1.3 and the suites of TLS 1.2 with ECDHE and AES-GCM or ChaCha20 are all that is offered")),
        ForeignFlag("--root-path", .one, .refused("routes are at /; let the proxy strip the path")),
        ForeignFlag("--middleware --tool-parser-plugin --reasoning-parser-plugin --io-processor-plugin --logits-processor-pattern --scheduler-cls", .one, .refused("no such extension is loaded")),
        ForeignFlag("--uds", .one, .refused("the server listens on a --host and a --port")),
        ForeignFlag("--log-config-file", .one, .refused("--log-level and --log-format say what is logged, and how")),
        ForeignFlag("--tokens-only", .none, .refused("requests that are texts are answered as well")),
        ForeignFlag("--enable-tokenizer-info-endpoint", .none, .refused("/tokenize and /detokenize are what is told of the tokenizer")),
        ForeignFlag("--log-error-stack --fail-on-environ-validation", .none, .nothing("errors name what is wrong, variables of the environment among it")),
        ForeignFlag("--kv-sharing-fast-prefill", .none, .nothing("answers do not depend on it")),
        ForeignFlag("--logits-processors", .several, .refused("no such extension is loaded")),
        ForeignFlag("--api-server-count -asc --pipeline-parallel-size -pp --data-parallel-size -dp --data-parallel-size-local -dpl --decode-context-parallel-size -dcp --prefill-context-parallel-size -pcp --nnodes", .one, .only(["1"], sharing)),
        ForeignFlag("--node-rank --data-parallel-rank -dpn --data-parallel-start-rank -dpr", .one, .only(["0"], sharing)),
        ForeignFlag("--headless --enable-expert-parallel -ep --data-parallel-hybrid-lb -dph --data-parallel-external-lb -dpe", .none, .refused(sharing)),
        ForeignFlag("--master-addr --data-parallel-address -dpa --data-parallel-backend -dpb", .one, .nothing(oneProcess)),
        ForeignFlag("--master-port --data-parallel-rpc-port -dpp", .number(), .nothing(oneProcess)),
        ForeignFlag("--enable-dbo --enable-eplb", .none, .nothing(oneProcess)),
        ForeignFlag("--disable-frontend-multiprocessing --worker-use-ray --engine-use-ray --ray-workers-use-nsight --disable-custom-all-reduce", .none, .nothing(oneProcess)),
        ForeignFlag("--max-parallel-loading-workers --tokenizer-pool-size", .number(), .nothing(oneProcess)),
        ForeignFlag("--distributed-executor-backend --tokenizer-pool-type --tokenizer-pool-extra-config", .one, .nothing(oneProcess)),
        ForeignFlag("--device -dev", .one, .only(["auto", "cpu", "none"], "artifacts run on the CPU")),
        ForeignFlag("--disable-uvicorn-access-log --no-enable-log-requests", .none, .ours("--disable-log-requests")),
        ForeignFlag("--disable-fastapi-docs", .none, .ours("--no-docs")),
        ForeignFlag("--enable-log-requests", .none, .nothing("each request has a line unless --disable-log-requests")),
        ForeignFlag("--max-log-len", .number(), .nothing("what requests and answers say is never logged")),
        ForeignFlag("--enable-log-outputs", .none, .refused("what requests and answers say is never logged")),
        ForeignFlag("--disable-log-stats", .none, .nothing("--log-level warning leaves the lines of figures out")),
        ForeignFlag("--enable-server-load-tracking", .none, .nothing("/load always answers")),
        ForeignFlag("--enable-prompt-tokens-details", .none, .ours("--report-cached-tokens")),
        ForeignFlag("--enable-request-id-headers", .none, .nothing("every answer has X-Request-Id")),
        ForeignFlag("--enable-force-include-usage --enable-sleep-mode", .none, .refused("not built yet")),
        ForeignFlag("--tool-server", .one, .refused("tools are the client's: the server runs none")),
        ForeignFlag("--profiler-config", .one, .refused("vlmc bench --kernels says where the time goes")),
        ForeignFlag("--otlp-traces-endpoint --collect-detailed-traces --show-hidden-metrics-for-version", .one, .refused("/metrics is all that is told")),
    ]

    private static let answers = [
        ForeignFlag("--chat-template-file", .one, .ours("--chat-template")),
        ForeignFlag("--chat-template-kwargs --default-chat-template-kwargs", .one, .refused("requests say it: chat_template_kwargs")),
        ForeignFlag("--trust-request-chat-template", .none, .nothing("a request may bring a chat_template: what one costs is bounded, and it reaches nothing but its request")),
        ForeignFlag("--chat-template-content-format", .one, .nothing("the template tells which form it reads")),
        ForeignFlag("--response-role", .one, .only(["assistant"], "answers are the assistant's")),
        ForeignFlag("--return-tokens-as-token-ids", .none, .refused("not built yet")),
        ForeignFlag("--enable-auto-tool-choice --exclude-tools-when-tool-choice-none", .none, .nothing("that is how tools always work")),
        ForeignFlag("--tool-call-parser", .one, .nothing("calls are read in the form in which the model's chat template writes them")),
        ForeignFlag("--reasoning-config", .one, .refused("no budget of thoughts is kept to")),
        ForeignFlag("--enable-reasoning", .none, .nothing("--reasoning-parser says that reasoning is split off, and how")),
        ForeignFlag("--guided-decoding-backend", .one, .nothing("one engine guides answers, by the same rules for all of them")),
        ForeignFlag("--structured-outputs-config", .one, .refused("requests say it: structured_outputs")),
        ForeignFlag("--max-logprobs", .one, .only(["20"], "up to 20 of the likeliest tokens are told; requests ask for fewer")),
        ForeignFlag("--logprobs-mode", .one, .only(["raw_logprobs"], "log probabilities are those of the model's own logits")),
    ]

    private static let engine = [
        ForeignFlag("--max-num-scheduled-tokens", .one, .ours("--max-num-batched-tokens")),
        ForeignFlag("--performance-mode", .one, .nothing("answers do not depend on it; --paced-prompts says whether prompts or answers wait")),
        ForeignFlag("--swap-space --cpu-offload-gb", .number(), .nothing(inMemory)),
        ForeignFlag("--num-gpu-blocks-override", .one, .refused("--kv-cache-bytes says how large the KV cache is")),
        ForeignFlag("--use-v2-block-manager --enable-chunked-prefill --no-enable-chunked-prefill --disable-chunked-mm-input", .none, .nothing("prompts are read in chunks: of --max-num-batched-tokens, and of few tokens beside answers unless --no-paced-prompts is given")),
        ForeignFlag("--max-num-partial-prefills --max-long-partial-prefills --long-prefill-token-threshold --num-lookahead-slots --scheduler-delay-factor", .number(), .nothing("each step is filled with what is ready, in turn; answers do not depend on it")),
        ForeignFlag("--num-scheduler-steps", .number(), .nothing("answers do not depend on it")),
        ForeignFlag("--preemption-mode --prefix-caching-hash-algo --attention-backend", .one, .nothing("answers do not depend on it")),
        ForeignFlag("--multi-step-stream-outputs", .maybe(["true", "false"]), .nothing("each token is streamed as it comes")),
        ForeignFlag("--async-scheduling --no-async-scheduling --disable-async-output-proc --disable-cascade-attn", .none, .nothing("answers do not depend on it")),
        ForeignFlag("--stream-interval", .one, .only(["1"], "each token is streamed as it comes")),
        ForeignFlag("--max-seq-len-to-capture --max-context-len-to-capture", .number(), .nothing(compiledAhead)),
        ForeignFlag("--compilation-config -O --optimization-level", .one, .nothing(compiledAhead)),
        ForeignFlag("--cuda-graph-sizes --cudagraph-capture-sizes", .several, .nothing(compiledAhead)),
        ForeignFlag("--max-cudagraph-capture-size", .number(), .nothing(compiledAhead)),
        ForeignFlag("-O0 -O1 -O2 -O3", .none, .nothing(compiledAhead)),
        ForeignFlag("--kv-cache-memory-bytes", .one, .ours("--kv-cache-bytes")),
        ForeignFlag("--disable-hybrid-kv-cache-manager", .none, .nothing("there is one KV cache, whatever the layers are")),
        ForeignFlag("--kv-offloading-size --kv-offloading-backend", .one, .refused("--kv-cache-dir keeps what the cache had in files")),
        ForeignFlag("--all2all-backend", .one, .nothing(oneProcess)),
        ForeignFlag("--mm-shm-cache-max-object-size-mb", .number(), .nothing(oneProcess)),
        ForeignFlag("--h11-max-header-count --h11-max-incomplete-event-size", .one, .refused("heads are bounded by what docs/threat-model.md says")),
        ForeignFlag("--enable-offline-docs", .none, .nothing("/docs needs nothing from elsewhere")),
        ForeignFlag("--disable-access-log-for-endpoints", .one, .refused("--disable-log-requests leaves out the lines of all")),
        ForeignFlag("--calculate-kv-scales", .none, .refused("the KV cache is bf16 or f32")),
        ForeignFlag("--kv-transfer-config --kv-events-config --additional-config --override-neuron-config --pooler-config --override-pooler-config", .one, .refused("there is nothing that it could configure")),
    ]

    private static let vision = [
        ForeignFlag("--mm-processor-cache-gb", .number(), .becomes("--image-cache-bytes, in Gi") { value throws(FlagError) in ["--image-cache-bytes", value + "Gi"] }),
        ForeignFlag("--disable-mm-preprocessor-cache", .none, .becomes("--image-cache-bytes 0") { _ throws(FlagError) in ["--image-cache-bytes", "0"] }),
        ForeignFlag("--mm-processor-cache-type --mm-encoder-tp-mode --mm-encoder-attn-backend", .one, .nothing(oneProcess)),
        ForeignFlag("--interleave-mm-strings --skip-mm-profiling", .none, .nothing("images stand where the messages have them, and memory is counted when compiling")),
        ForeignFlag("--media-io-kwargs", .one, .refused("images are read as the model's processor reads them; --mm-processor-kwargs says how videos are sampled, with num_frames or fps")),
        ForeignFlag("--video-pruning-rate", .one, .only(["0", "0.0"], "the model reads every frame that its processor samples")),
        ForeignFlag("--language-model-only", .none, .becomes("--limit-mm-per-prompt, with no images and no videos") { _ throws(FlagError) in
            ["--limit-mm-per-prompt", #"{"image": 0, "video": 0}"#]
        }),
        ForeignFlag("--enable-mm-embeds", .none, .nothing("embeddings in place of images are always taken: they are numbers, which are checked")),
        ForeignFlag("--enable-prompt-embeds", .none, .refused("embeddings in place of prompts are not taken")),
    ]

    private static let later = [
        ForeignFlag("--fully-sharded-loras", .none, .nothing(oneProcess)),
        ForeignFlag("--enable-prompt-adapter", .none, .refused(prompts)),
        ForeignFlag("--enable-lora-bias", .none, .refused("biases of adapters are not served")),
        ForeignFlag("--prompt-adapters", .several, .refused(prompts)),
        ForeignFlag("--lora-extra-vocab-size --long-lora-scaling-factors", .one, .refused("adapters change layers alone, with one scale each")),
        ForeignFlag("--lora-dtype", .one, .nothing("adapters are computed in f32")),
        ForeignFlag("--max-prompt-adapters --max-prompt-adapter-token", .one, .refused(prompts)),
        ForeignFlag("--qlora-adapter-name-or-path", .one, .refused("adapters are named by --lora-modules name=dir")),
        ForeignFlag("--speculative-config", .one, .becomes("--speculative-model and its flags", SpeculativeConfig.words)),
        ForeignFlag("--speculative-model-quantization", .one, .refused("a draft model is quantized as its checkpoint is, or as vlmc compile --quantize made its artifact")),
        ForeignFlag("--speculative-draft-tensor-parallel-size", .one, .only(["1"], sharing)),
        ForeignFlag("--speculative-max-model-len", .number(), .nothing("a draft model guesses texts as long as it was compiled for; answers do not depend on it")),
        ForeignFlag("--speculative-disable-by-batch-size", .one, .refused("guessed tokens only take rows that no running sequence needs")),
        ForeignFlag("--spec-decoding-acceptance-method", .one, .only(["rejection_sampler"], "answers are those that there would be without guesses")),
        ForeignFlag("--typical-acceptance-sampler-posterior-threshold --typical-acceptance-sampler-posterior-alpha", .one, .refused("answers are those that there would be without guesses")),
        ForeignFlag("--disable-logprobs-during-spec-decoding", .maybe(["true", "false"]), .only(["false"], "log probabilities are told, guesses or not")),
    ]
}
