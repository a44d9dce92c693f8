/// Which keys each query of an attention sees: a matrix bool `[queries, keys]`, written as the rule that makes it.
///
/// The matrix itself exists in Reference only. Kernels get the rule and what a call says of its rows: sequences with their
/// lengths, the last position that a token may look at, or bounds of segments.
package enum Mask: Sendable, Hashable, Codable {
    /// Keys of the query's own sequence up to itself.
    ///
    /// - `window`: only the last so many of them, the query's own among them; all when nil.
    /// - `spans`: also those behind it, to the end of the bidirectional span that the query's token lies in, if it lies in one
    ///   (the images of `Gemma3ForConditionalGeneration`, the prefix of `PaliGemmaForConditionalGeneration`).
    case causal(window: Int? = nil, spans: Bool = false)

    /// Keys of the segment that has the query's index. The names are those of segmentations: bounds i32 `[n + 1]`, from 0 and
    /// never falling, where segment `i` is the rows from bound `i` to the next.
    case segments(queries: String, keys: String)

    /// The same segments for queries and keys.
    package static func segments(_ name: String) -> Mask { .segments(queries: name, keys: name) }

    /// Whether a query may see keys behind itself, so that a call must say how far.
    package var hasSpans: Bool {
        switch self {
        case .causal(_, let spans): spans
        case .segments: false
        }
    }
}

extension Mask: CustomStringConvertible {
    /// As IR text shows it behind the type: `causal {window = 4096, spans}`, `segments {queries = images, keys = images}`.
    package var description: String {
        switch self {
        case .causal(let window, let spans):
            let options = (window.map { ["window = \($0)"] } ?? []) + (spans ? ["spans"] : [])
            return options.isEmpty ? "causal" : "causal {\(options.joined(separator: ", "))}"
        case .segments(let queries, let keys): return "segments {queries = \(queries), keys = \(keys)}"
        }
    }
}
