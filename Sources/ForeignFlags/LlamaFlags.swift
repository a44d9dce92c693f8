extension ForeignFlag {
    private static let mapped = "packed weights are mapped from the artifact"
    private static let noGPU = "there is no GPU to put anything on"
    private static let adapters = "adapters in GGUF are not read; --enable-lora --lora-modules name=dir takes those of PEFT"
    private static func requests(_ field: String) -> String { "requests say it: \(field)" }
    private static let noSampler = "this way of sampling is not built"
    private static let vision = "the vision tower is part of the artifact, with its processor; leave it out"
    private static let positions = "positions are computed as config.json says: change it in the model directory, and compile that"

    /// Those of llama.cpp's server that `vlm-serve` does not have under the same name.
    static let llama = translated + placement + drafts + sampling + server

    /// A flag whose value 0 or −1 leaves the choice to the server.
    private static func count(_ names: String, _ ours: String) -> ForeignFlag {
        ForeignFlag(names, .one, .becomes("\(ours); 0 and -1 as if it were left out") { value throws(FlagError) in
            ["0", "-1"].contains(value) ? [] : [ours, value]
        })
    }

    /// A flag that sets one field of the generation_config.json.
    private static func generation(_ names: String, _ field: String, none: String? = nil) -> ForeignFlag {
        ForeignFlag(names, .number(), .becomes("--override-generation-config, its \(field)") { value throws(FlagError) in
            value == none ? [] : ["--override-generation-config", #"{"\#(field)": \#(value)}"#]
        })
    }

    private static let translated = [
        count("-c --ctx-size", "--max-model-len"), count("-np --parallel", "--max-num-seqs"), count("-t", "--threads"),
        ForeignFlag("-b --batch-size", .one, .ours("--max-num-batched-tokens")),
        ForeignFlag("-a --alias", .one, .becomes("--served-model-name, for each name between commas") { value throws(FlagError) in
            value.split(separator: ",").flatMap { ["--served-model-name", String($0)] }
        }),
        generation("-n --predict --n-predict", "max_new_tokens", none: "-1"), generation("--temp --temperature", "temperature"), generation("--top-k", "top_k"),
        generation("--top-p", "top_p"), generation("--min-p", "min_p"), generation("--repeat-penalty", "repetition_penalty"),
        ForeignFlag("-s", .one, .becomes("--seed; -1 as if it were left out") { value throws(FlagError) in value == "-1" ? [] : ["--seed", value] }),
        ForeignFlag("-ctk --cache-type-k -ctv --cache-type-v", .one, .ours("--kv-cache-dtype")),
        ForeignFlag("--cache-prompt", .none, .ours("--enable-prefix-caching")),
        ForeignFlag("--no-cache-prompt", .none, .ours("--no-enable-prefix-caching")),
        ForeignFlag("--no-webui --no-ui", .none, .ours("--no-playground")),
        ForeignFlag("--webui --ui", .none, .ours("--playground")),
        ForeignFlag("--cors-origins", .one, .becomes("--allowed-origins, for each origin between commas") { value throws(FlagError) in
            value.split(separator: ",").flatMap { ["--allowed-origins", String($0)] }
        }),
        ForeignFlag("--log-jsonl", .none, .becomes("--log-format json") { _ throws(FlagError) in ["--log-format", "json"] }),
        ForeignFlag("--media-path", .one, .ours("--allowed-local-media-path")),
        ForeignFlag("-v --verbose --log-verbose", .none, .becomes("--log-level debug") { _ throws(FlagError) in ["--log-level", "debug"] }),
        ForeignFlag("--log-disable", .none, .becomes("--log-level error") { _ throws(FlagError) in ["--log-level", "error"] }),
    ]

    private static let placement = [
        ForeignFlag("-ngl --gpu-layers --n-gpu-layers", .number(or: ["auto", "all"]), .nothing(noGPU)),
        ForeignFlag("-sm --split-mode -ts --tensor-split -ot --override-tensor", .one, .nothing(noGPU)),
        ForeignFlag("-mg --main-gpu -ncmoe --n-cpu-moe", .number(), .nothing(noGPU)),
        ForeignFlag("-nkvo --no-kv-offload -kvo --kv-offload -cmoe --cpu-moe --op-offload --no-op-offload --mmproj-offload --no-mmproj-offload --no-host -bs --backend-sampling", .none, .nothing(noGPU)),
        ForeignFlag("--list-devices", .none, .refused("artifacts run on the CPU; vlmc machine prints what it can do")),
        ForeignFlag("-tb --threads-batch --threads-http", .number(), .nothing("--threads compute prompts and answers")),
        ForeignFlag("-ub --ubatch-size -dt --defrag-thold --prio --prio-batch --poll --poll-batch --cache-reuse -sps --slot-prompt-similarity", .number(), .nothing("answers do not depend on it")),
        ForeignFlag("--numa", .one, .nothing("answers do not depend on it")),
        ForeignFlag("-C --cpu-mask -Cr --cpu-range -Cb --cpu-mask-batch -Crb --cpu-range-batch --cpu-strict --cpu-strict-batch", .one, .refused("start the server under taskset, whose processors it keeps to")),
        ForeignFlag("-fa --flash-attn", .maybe(["on", "off", "auto", "0", "1"]), .nothing("attention is computed in chunks, whatever the flag says")),
        ForeignFlag("-fit --fit", .maybe(["on", "off"]), .nothing(noGPU)),
        ForeignFlag("-fitt --fit-target", .one, .nothing(noGPU)),
        ForeignFlag("-fitc --fit-ctx", .number(), .nothing(noGPU)),
        ForeignFlag("-ctxcp --ctx-checkpoints --swa-checkpoints", .number(), .nothing("answers do not depend on it")),
        ForeignFlag("--direct-io --no-direct-io -dio -ndio", .none, .nothing(mapped)),
        ForeignFlag("-lm --load-mode", .one, .nothing(mapped)),
        ForeignFlag("--rpc", .one, .refused(sharing)),
        ForeignFlag("--mlock --no-mmap --mmap -nr --no-repack --repack", .none, .nothing(mapped)),
        ForeignFlag("-no-kvu --no-kv-unified", .none, .nothing("blocks of the KV cache go to whichever sequence needs them")),
        ForeignFlag("--swa-full -kvu --kv-unified --no-perf --perf -e --escape --no-escape --warmup --no-warmup --check-tensors --offline", .none, .nothing("that is how it always is, or has nothing to change")),
        ForeignFlag("--mmproj -mm --mmproj-url -mmu", .one, .refused(vision)),
        ForeignFlag("--no-mmproj --no-mmproj-auto", .none, .refused(vision)),
        ForeignFlag("--video-fps", .one, .refused("give --mm-processor-kwargs '{\"fps\": …}'")),
        ForeignFlag("--image-max-tokens --image-min-tokens", .one, .refused("an image's tokens follow from its pixels; give --mm-processor-kwargs '{\"max_pixels\": …}'")),
        ForeignFlag("--mmproj-auto", .none, .nothing("the vision tower is part of the artifact")),
        ForeignFlag("-mu --model-url -hff --hf-file", .one, .refused("GGUF files are not read, and nothing is downloaded; give the model's HuggingFace directory")),
        ForeignFlag("--rope-scale --rope-freq-base --rope-freq-scale --yarn-orig-ctx --yarn-ext-factor --yarn-attn-factor --yarn-beta-slow --yarn-beta-fast --override-kv", .one, .refused(positions)),
        ForeignFlag("--lora-init-without-apply", .none, .refused(adapters)),
        ForeignFlag("--lora --control-vector --lora-scaled --control-vector-scaled --control-vector-layer-range", .several, .refused(adapters)),
    ]

    private static let drafts = [
        ForeignFlag("-md --model-draft --spec-draft-model", .one, .ours("--speculative-model")),
        ForeignFlag("-hfd -hfrd --hf-repo-draft --spec-draft-hf", .one, .ours("--speculative-model")),
        ForeignFlag("--draft --draft-max --draft-n --spec-draft-n-max", .one, .ours("--num-speculative-tokens")),
        ForeignFlag("-td --threads-draft --spec-draft-threads -tbd --threads-batch-draft --spec-draft-threads-batch", .number(), .nothing("--threads compute what a draft model guesses, too")),
        ForeignFlag("--draft-min --draft-n-min --draft-p-min --spec-draft-n-min --spec-draft-p-min --spec-draft-p-split", .number(), .nothing("as many tokens are guessed as gain time, by how many came true; answers do not depend on it")),
        ForeignFlag("-cd --ctx-size-draft --spec-draft-ctx-size", .number(), .nothing("a draft model guesses texts as long as it was compiled for; answers do not depend on it")),
        ForeignFlag("-devd --device-draft --spec-draft-device", .one, .nothing(noGPU)),
        ForeignFlag("-ngld --gpu-layers-draft --n-gpu-layers-draft --spec-draft-ngl", .number(or: ["auto", "all"]), .nothing(noGPU)),
        ForeignFlag("-ctkd --cache-type-k-draft --spec-draft-type-k -ctvd --cache-type-v-draft --spec-draft-type-v", .one, .refused("the KV cache of a draft model is as it was compiled: vlmc compile --precision exact makes it f32, balanced bf16")),
    ]

    private static let sampling = [
        ForeignFlag("--presence-penalty", .one, .only(["0", "0.0"], requests("presence_penalty"))),
        ForeignFlag("--frequency-penalty", .one, .only(["0", "0.0"], requests("frequency_penalty"))),
        ForeignFlag("-l --logit-bias", .one, .refused(requests("logit_bias"))),
        ForeignFlag("--grammar --grammar-file", .one, .refused(requests("guided_grammar"))),
        ForeignFlag("-j --json-schema -jf --json-schema-file", .one, .refused(requests("response_format or guided_json"))),
        ForeignFlag("-r --reverse-prompt", .one, .refused(requests("stop"))),
        ForeignFlag("--ignore-eos", .none, .refused(requests("ignore_eos"))),
        ForeignFlag("-sp --special", .none, .refused(requests("skip_special_tokens"))),
        ForeignFlag("--typical --typical-p", .one, .only(["1", "1.0"], noSampler)),
        ForeignFlag("--mirostat --dry-multiplier --xtc-probability --dynatemp-range", .one, .only(["0", "0.0"], noSampler)),
        ForeignFlag("--top-n-sigma --top-nsigma", .one, .only(["-1", "-1.0"], noSampler)),
        ForeignFlag("--samplers --sampling-seq --sampler-seq --xtc-threshold --repeat-last-n --dry-base --dry-allowed-length --dry-penalty-last-n --dry-sequence-breaker --dynatemp-exp --mirostat-lr --mirostat-ent --adaptive-target --adaptive-decay", .one, .refused(noSampler)),
    ]

    private static let server = [
        ForeignFlag("-cb --cont-batching --metrics --jinja --no-context-shift --no-slots --no-prefill-assistant", .none, .nothing("that is how it always is")),
        ForeignFlag("--embedding --embeddings", .none, .nothing("/v1/embeddings always answers, beside the other routes")),
        ForeignFlag("--embd-normalize", .one, .only(["2"], "an embedding has length 1, or as many as it has with \"normalize\": false of a request")),
        ForeignFlag("--reuse-port", .none, .refused("a server has its port alone: give each its own, with a load balancer before them")),
        ForeignFlag("-rea --reasoning", .one, .only(["auto"], requests("chat_template_kwargs, such as {\"enable_thinking\": false}"))),
        ForeignFlag("--reasoning-effort", .one, .refused(requests("reasoning_effort"))),
        ForeignFlag("--pooling", .one, .only(["last"], "an embedding is the hidden state of the last token")),
        ForeignFlag("-nocb --no-cont-batching --context-shift --no-jinja --slots --props --rerank --reranking --spm-infill", .none, .refused("not built")),
        ForeignFlag("--api-key-file", .one, .refused("give the key as VLLM_API_KEY in the environment, which other users cannot read: VLLM_API_KEY=$(cat FILE)")),
        ForeignFlag("--ssl-cert-file", .one, .ours("--ssl-certfile")),
        ForeignFlag("--ssl-key-file", .one, .ours("--ssl-keyfile")),
        ForeignFlag("-to --timeout", .one, .refused("--request-deadline bounds how long a request may take to be read")),
        ForeignFlag("--path --api-prefix --slot-save-path --reasoning-budget --keep -cram --cache-ram --models-dir --models-max --models-preset --webui-config --webui-config-file --tools --spec-type", .one, .refused("not built")),
        ForeignFlag("--sleep-idle-seconds", .one, .only(["-1"], "not built")),
        ForeignFlag("-lcs --lookup-cache-static -lcd --lookup-cache-dynamic", .one, .refused("--speculative-model '[ngram]' guesses from the prompt and the answer")),
        ForeignFlag("--reasoning-format", .one, .only(["none"], "--reasoning-parser splits reasoning off")),
        ForeignFlag("--log-file -lv --verbosity --log-verbosity", .one, .refused("the log goes to stderr, as much as --log-level says")),
        ForeignFlag("--log-prefix --no-log-prefix --log-timestamps --no-log-timestamps", .none, .nothing("lines begin with the time and the level")),
        ForeignFlag("--log-colors", .maybe(["on", "off", "auto"]), .nothing("the log has no colours")),
    ]
}
