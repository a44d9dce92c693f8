package import IR
package import Tensors

/// What one call says of its rows, from which masks become matrices.
package struct MaskedCall: Sendable {
    /// A token: its sequence, and its place in that sequence from 0.
    package struct Token: Sendable, Hashable {
        package var sequence: Int
        package var position: Int

        package init(sequence: Int = 0, position: Int) {
            self.sequence = sequence
            self.position = position
        }
    }

    /// The tokens that ask; nil where a row stands for none and sees nothing.
    package var queries: [Token?] = []
    /// The tokens of the cache slot by slot; nil where a slot is free.
    package var keys: [Token?] = []
    /// By sequence, the ranges of positions inside which all tokens see each other where a mask has spans.
    package var spans: [Int: [Range<Int>]] = [:]
    /// The bounds of segmentations by name.
    package var bounds: [String: [Int]] = [:]

    /// A call on tokens.
    package init(queries: [Token?], keys: [Token?], spans: [Int: [Range<Int>]] = [:]) {
        self.queries = queries
        self.keys = keys
        self.spans = spans
    }

    /// A call on segments.
    package init(bounds: [String: [Int]]) { self.bounds = bounds }

    /// Tokens of one sequence whose cache has its slots in order.
    package init(_ tokens: Range<Int>, slots: Int, spans: [Range<Int>] = []) {
        self.init(queries: tokens.map { Token(position: $0) }, keys: (0..<slots).map { Token(position: $0) }, spans: [0: spans])
    }

    /// The matrix of every mask of a graph, by the input's name.
    package func matrices(of graph: Graph) throws(EvaluationError) -> [String: Tensor] {
        var matrices: [String: Tensor] = [:]
        for input in graph.inputs {
            if let mask = input.mask { matrices[input.name] = try matrix(of: mask) }
        }
        return matrices
    }

    /// A mask's matrix bool `[queries, keys]` for this call.
    package func matrix(of mask: Mask) throws(EvaluationError) -> Tensor {
        switch mask {
        case .causal(let window, let hasSpans):
            return Self.matrix(queries, keys) { query, key in
                guard let query, let key, query.sequence == key.sequence else { return false }
                let reach = hasSpans ? self.reach(of: query) : query.position
                return key.position <= reach && key.position > query.position - (window ?? .max)
            }
        case .segments(let queries, let keys):
            return Self.matrix(try segments(queries), try segments(keys), ==)
        }
    }

    /// The last position that a token may see where a mask has spans.
    private func reach(of token: Token) -> Int {
        spans[token.sequence]?.first { $0.contains(token.position) }.map { $0.upperBound - 1 } ?? token.position
    }

    /// The segment of each row.
    private func segments(_ name: String) throws(EvaluationError) -> [Int] {
        guard let bounds = bounds[name] else { throw EvaluationError("there are no segments \(name)") }
        return zip(bounds, bounds.dropFirst()).enumerated().flatMap { segment, ends in
            Array(repeating: segment, count: Swift.max(0, ends.1 - ends.0))
        }
    }

    private static func matrix<Row>(_ queries: [Row], _ keys: [Row], _ sees: (Row, Row) -> Bool) -> Tensor {
        Tensor(ints: queries.flatMap { query in keys.map { sees(query, $0) ? 1 : 0 } }, [queries.count, keys.count], .bool)
    }
}
