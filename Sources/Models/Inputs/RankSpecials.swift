/// The special tokens that the code beside published rank files of tiktoken adds to them (`tokenization_qwen.py`).
package enum RankSpecials {
    package static let all =
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] + (0..<205).map { "<|extra_\($0)|>" } + [
            "<ref>", "</ref>", "<box>", "</box>", "<quad>", "</quad>", "<img>", "</img>", "<imgpad>",
        ]
}
