/// What the server counts; rendered as Prometheus text.
package struct Metrics: Sendable {
    package var running = 0
    package var waiting = 0
    package var kvUsage = 0.0
    package var prefixQueries = 0
    package var prefixHits = 0
    package var imageQueries = 0
    package var imageHits = 0
    package var promptTokens = 0
    package var generationTokens = 0
    package var preemptions = 0
    /// Nil where no tokens are guessed ahead.
    package var speculation: Speculation?
    /// Nil where no blocks are kept on disk.
    package var storedBlocks: StoredBlocks?
    package var successes: [FinishReason: Int] = [:]
    package var failures = 0
    /// Of each adapter, in the order of their places.
    package var adapters: [AdapterLoad] = []
    /// Different adapters that may run at once.
    package var maxAdapters = 0
    /// Nil until the engine has begun.
    package var cache: CacheFacts?
    package var gearSteps: [Int: Int] = [:]
    package var gearPadding: [Int: Int] = [:]
    package var startup: [(phase: String, seconds: Double)] = []
    package var http: [HTTPKey: Int] = [:]

    package var timeToFirstToken = Histogram.latency
    package var interToken = Histogram.latency
    package var endToEnd = Histogram.duration
    package var queueTime = Histogram.duration
    package var prefillTime = Histogram.duration
    package var decodeTime = Histogram.duration
    package var requestPrompt = Histogram.size
    package var requestGeneration = Histogram.size
    package var requestAnswers = Histogram.few
    package var requestMaxTokens = Histogram.size
    package var iterationTokens = Histogram.size
    package var imageFetch = Histogram.latency
    package var imageDecode = Histogram.latency
    package var imagePreprocess = Histogram.latency
    package var imageEncode = Histogram.latency
    package var httpDuration = Histogram.duration

    /// Guesses, their tokens, and how many of these came true.
    package struct Speculation: Sendable, Equatable {
        package var drafts = 0
        package var tokens = 0
        package var accepted = 0
    }

    /// Blocks on disk and their bytes; tokens whose keys and values came from there; blocks read, written and removed since the start; and what went wrong.
    package struct StoredBlocks: Sendable, Equatable {
        package var blocks = 0
        package var bytes = 0
        package var tokensFound = 0
        package var read = 0
        package var written = 0
        package var removed = 0
        package var errors = 0
    }

    /// How the KV cache is laid out.
    package struct CacheFacts: Sendable, Equatable {
        package var blockSize: Int
        package var blocks: Int
        /// Of keys and values, such as `f16`.
        package var element: String
        package var cachesPrefixes: Bool
    }

    package struct HTTPKey: Sendable, Hashable {
        package var handler: String
        package var status: Int

        package init(handler: String, status: Int) {
            self.handler = handler
            self.status = status
        }
    }

    package init() {}

    /// Prometheus' text format, version 0.0.4.
    ///
    /// - Parameter now: seconds since 1970.
    package func text(modelName: String, process: ProcessUsage, now: Double) -> String {
        let model = "model_name=\"\(Self.escape(modelName))\""
        var text = ""
        renderGauges(model, &text)
        renderAdapters(now, &text)
        renderCounters(model, &text)
        renderHistograms(model, &text)
        family("http_requests_total", "counter", "Answered HTTP requests.", &text)
        for (key, count) in http.sorted(by: { ($0.key.handler, $0.key.status) < ($1.key.handler, $1.key.status) }) {
            text += "http_requests_total{handler=\"\(Self.escape(key.handler))\",status=\"\(key.status)\"} \(count)\n"
        }
        family("http_request_duration_seconds", "histogram", "Time from request to the end of its answer.", &text)
        httpDuration.render("http_request_duration_seconds", labels: "", into: &text)
        process.render(into: &text)
        return text
    }

    private func renderGauges(_ model: String, _ text: inout String) {
        sample("vllm:num_requests_running", "gauge", "Requests that are being computed.", model, running, &text)
        sample("vllm:num_requests_waiting", "gauge", "Requests that wait for a place.", model, waiting, &text)
        family("vllm:kv_cache_usage_perc", "gauge", "Share of the KV cache in use, 1 is all.", &text)
        text += "vllm:kv_cache_usage_perc{\(model)} \(kvUsage)\n"
        if let cache {
            family("vllm:cache_config_info", "gauge", "How the KV cache is laid out, in the labels.", &text)
            text += "vllm:cache_config_info{\(model),block_size=\"\(cache.blockSize)\",num_gpu_blocks=\"\(cache.blocks)\","
            text += "cache_dtype=\"\(Self.escape(cache.element))\",enable_prefix_caching=\"\(cache.cachesPrefixes ? "True" : "False")\"} 1.0\n"
        }
        if let storedBlocks {
            sample("vlm:stored_blocks", "gauge", "Cache blocks in --kv-cache-dir.", model, storedBlocks.blocks, &text)
            sample("vlm:stored_bytes", "gauge", "Bytes of the cache blocks in --kv-cache-dir.", model, storedBlocks.bytes, &text)
        }
        family("vlm:startup_phase_seconds", "gauge", "Time each phase of the start took.", &text)
        for (phase, seconds) in startup {
            text += "vlm:startup_phase_seconds{\(model),phase=\"\(Self.escape(phase))\"} \(seconds)\n"
        }
    }

    /// As vLLM tells of them: in the labels, the value being the time.
    private func renderAdapters(_ now: Double, _ text: inout String) {
        guard !adapters.isEmpty else { return }
        let running = adapters.filter { $0.running > 0 }.map(\.name).joined(separator: ",")
        let waiting = adapters.filter { $0.waiting > 0 }.map(\.name).joined(separator: ",")
        family("vllm:lora_requests_info", "gauge", "Adapters of the requests that run and that wait.", &text)
        text += "vllm:lora_requests_info{max_lora=\"\(maxAdapters)\",waiting_lora_adapters=\"\(Self.escape(waiting))\","
        text += "running_lora_adapters=\"\(Self.escape(running))\"} \(now)\n"
    }

    private func renderCounters(_ model: String, _ text: inout String) {
        var counters = [
            ("vllm:prefix_cache_queries_total", "Tokens looked for in the prefix cache.", prefixQueries),
            ("vllm:prefix_cache_hits_total", "Tokens found in the prefix cache.", prefixHits),
            ("vllm:mm_cache_queries_total", "Images looked for in the embedding cache.", imageQueries),
            ("vllm:mm_cache_hits_total", "Images found in the embedding cache.", imageHits),
            ("vllm:prompt_tokens_total", "Prompt tokens of requests that began.", promptTokens),
            ("vllm:generation_tokens_total", "Generated tokens.", generationTokens),
            ("vllm:num_preemptions_total", "Sequences that gave their cache blocks back.", preemptions),
            ("vlm:request_failures_total", "Requests that failed in the engine.", failures),
        ]
        if let speculation {
            counters += [
                ("vllm:spec_decode_num_drafts_total", "Times that tokens were guessed ahead.", speculation.drafts),
                ("vllm:spec_decode_num_draft_tokens_total", "Tokens guessed ahead.", speculation.tokens),
                ("vllm:spec_decode_num_accepted_tokens_total", "Guessed tokens that came true.", speculation.accepted),
            ]
        }
        if let storedBlocks {
            counters += [
                ("vlm:stored_prefix_hits_total", "Tokens whose keys and values came from --kv-cache-dir.", storedBlocks.tokensFound),
                ("vlm:stored_blocks_read_total", "Cache blocks read from --kv-cache-dir.", storedBlocks.read),
                ("vlm:stored_blocks_written_total", "Cache blocks written to --kv-cache-dir.", storedBlocks.written),
                ("vlm:stored_blocks_removed_total", "Cache blocks removed from --kv-cache-dir for others, or because they were damaged.", storedBlocks.removed),
                ("vlm:stored_block_errors_total", "Cache blocks of --kv-cache-dir that could not be read or written.", storedBlocks.errors),
            ]
        }
        for (name, help, value) in counters { sample(name, "counter", help, model, value, &text) }
        family("vllm:request_success_total", "counter", "Requests that ended, by reason.", &text)
        for reason in FinishReason.allCases {
            text += "vllm:request_success_total{\(model),finished_reason=\"\(reason.rawValue)\"} \(successes[reason] ?? 0)\n"
        }
        gears("vlm:decode_gear_steps_total", "Decode steps by gear.", gearSteps, model, &text)
        gears("vlm:decode_gear_padded_rows_total", "Rows without a sequence, by gear.", gearPadding, model, &text)
    }

    private func renderHistograms(_ model: String, _ text: inout String) {
        let histograms = [
            ("vllm:time_to_first_token_seconds", "Request to first token.", timeToFirstToken),
            ("vllm:inter_token_latency_seconds", "Between tokens of a request.", interToken),
            ("vllm:e2e_request_latency_seconds", "Request to last token.", endToEnd),
            ("vllm:request_queue_time_seconds", "Request to its first step.", queueTime),
            ("vllm:request_prefill_time_seconds", "First step to first token.", prefillTime),
            ("vllm:request_decode_time_seconds", "First to last token.", decodeTime),
            ("vllm:request_prompt_tokens", "Prompt tokens of a request.", requestPrompt),
            ("vllm:request_generation_tokens", "Generated tokens of a request.", requestGeneration),
            ("vllm:request_params_n", "Answers that a request asks for to a prompt.", requestAnswers),
            ("vllm:request_params_max_tokens", "Tokens that a request asks for at most.", requestMaxTokens),
            ("vllm:iteration_tokens_total", "Tokens of a step.", iterationTokens),
            ("vlm:image_fetch_seconds", "Fetching an image that a request names.", imageFetch),
            ("vlm:image_decode_seconds", "Decoding an image file.", imageDecode),
            ("vlm:image_preprocess_seconds", "Resizing a decoded image and cutting it into patches.", imagePreprocess),
            ("vlm:image_encode_seconds", "Encoding the images of a request.", imageEncode),
        ]
        for (name, help, histogram) in histograms {
            family(name, "histogram", help, &text)
            histogram.render(name, labels: model, into: &text)
        }
    }

    private func gears(_ name: String, _ help: String, _ values: [Int: Int], _ model: String, _ text: inout String) {
        family(name, "counter", help, &text)
        for (gear, count) in values.sorted(by: { $0.key < $1.key }) {
            text += "\(name){\(model),gear=\"\(gear)\"} \(count)\n"
        }
    }

    private func sample(
        _ name: String, _ kind: String, _ help: String, _ labels: String, _ value: Int, _ text: inout String
    ) {
        family(name, kind, help, &text)
        text += "\(name){\(labels)} \(value).0\n"
    }

    private func family(_ name: String, _ kind: String, _ help: String, _ text: inout String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind)\n"
    }

    private static func escape(_ value: String) -> String {
        var result = ""
        for character in value {
            switch character {
            case "\\": result += "\\\\"
            case "\"": result += "\\\""
            case "\n": result += "\\n"
            default: result.append(character)
            }
        }
        return result
    }
}
