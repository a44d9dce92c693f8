/// The name of a section, which is its file's path inside the artifact.
package struct SectionName: Sendable, Hashable, Comparable, CustomStringConvertible {
    package let path: String

    /// A section stored under `path`: words of letters, digits, `.`, `-` and `_` separated by single slashes; nil else.
    package init?(path: String) {
        let words = path.split(separator: "/", omittingEmptySubsequences: false)
        let isSafe = words.allSatisfy { word in
            !word.isEmpty && !word.hasPrefix(".")
                && word.utf8.allSatisfy { byte in
                    switch byte {
                    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
                        true
                    default: false
                    }
                }
        }
        guard isSafe, words.count <= 2 else { return nil }
        self.path = path
    }

    private init(known path: String) { self.path = path }

    /// Plans and limits.
    package static let program = SectionName(known: "program.json")
    /// The weight table.
    package static let weightTable = SectionName(known: "weights.json")
    /// Packed weights.
    package static let weights = SectionName(known: "weights.bin")
    /// The tokenizer in its quickly loaded form.
    package static let tokenizer = SectionName(known: "tokenizer.bin")
    /// The texts of the tokens as a tree, which guides of answers walk over.
    package static let tokenTrie = SectionName(known: "token_trie.bin")
    /// The chat template's source.
    package static let chatTemplate = SectionName(known: "chat_template.jinja")
    /// How requests become tokens and patches (InputSpec).
    package static let inputs = SectionName(known: "inputs.json")
    /// Matches, rewrites and misses of every pass, and the lines of IR that it changed.
    package static let passes = SectionName(known: "passes.json")
    /// Of a head that guesses tokens: those of the model that its own stand for, as little-endian i32.
    package static let draftTokens = SectionName(known: "draft_tokens.bin")
    /// What the golden self-test asks.
    package static let golden = SectionName(known: "golden.json")
    /// What the golden self-test expects, as raw f32.
    package static let goldenData = SectionName(known: "golden.bin")

    /// The IR of one entry after one stage, compressed.
    package static func ir(stage: String, entry: String) -> SectionName? {
        SectionName(path: "ir/\(stage).\(entry).vir.zst")
    }

    /// Stage and entry when this is an IR section.
    package var irCoordinates: (stage: String, entry: String)? {
        guard path.hasPrefix("ir/"), path.hasSuffix(".vir.zst") else { return nil }
        let name = path.dropFirst(3).dropLast(8)
        guard let dot = name.firstIndex(of: ".") else { return nil }
        return (String(name[..<dot]), String(name[name.index(after: dot)...]))
    }

    /// Whether an artifact's directory may hold a file or directory of this name.
    static func isKnown(_ name: String) -> Bool {
        let sections: [SectionName] = [
            .program, .weightTable, .weights, .tokenizer, .tokenTrie, .chatTemplate, .inputs, .passes, .draftTokens, .golden, .goldenData,
        ]
        return name == ArtifactReader.manifestName || name == ArtifactReader.checksumName || name == "ir"
            || ModelName.isKnown(name) || sections.contains { $0.path == name }
    }

    /// Whether the section is checked against its checksum at opening and nothing more; those that are decoded then are checked when
    /// they are read, and all others by `verify` or when somebody reads them.
    var isCheckedByBytes: Bool { [.tokenizer, .chatTemplate, .golden].contains(self) }

    /// Most bytes that the section's file may have: a writer writes no more, a reader allocates no more.
    var bytesMax: Int {
        switch self {
        case .weights: 1 << 42
        case .tokenizer, .tokenTrie, .goldenData: 256 << 20
        case .chatTemplate, .inputs, .golden: 16 << 20
        default: 64 << 20
        }
    }

    package var description: String { path }

    package static func < (left: SectionName, right: SectionName) -> Bool { left.path < right.path }
}
