/// Splits an answer, as it grows, into what the model thinks, `<think>…</think>`, and what it says behind that.
package struct ReasoningReader: Sendable {
    /// What the beginning of an answer is.
    package enum Start: Sendable {
        case thinking
        case saying
        /// Thinking where the answer says so.
        case open
    }

    package enum Piece: Sendable, Equatable {
        case reasoning(String)
        case text(String)
    }

    private enum State {
        /// Whether thinking follows even where `<think>` does not come.
        case beginning(thinks: Bool)
        case thinking, saying
    }

    private var state: State
    /// What may be a mark, or its beginning.
    private var held: [UInt8] = []

    private static let opening = Array("<think>".utf8)
    private static let closing = Array("</think>".utf8)

    package init(_ start: Start) {
        state =
            switch start {
            case .thinking: .beginning(thinks: true)
            case .saying: .saying
            case .open: .beginning(thinks: false)
            }
    }

    /// Whether the end of what is known is a thought.
    package var isThinking: Bool { if case .thinking = state { true } else { false } }

    /// What is certain once more of the answer is known.
    package mutating func read(_ text: String) -> [Piece] {
        held += text.utf8
        var pieces: [Piece] = []
        if case .beginning(let thinks) = state { begin(thinks, isWhole: false) }
        if case .thinking = state { think(&pieces) }
        if case .saying = state { flush(&pieces) }
        return pieces
    }

    /// What is left at the end of the answer.
    package mutating func finish() -> [Piece] {
        var pieces: [Piece] = []
        if case .beginning(let thinks) = state { begin(thinks, isWhole: true) }
        flush(&pieces)
        return pieces
    }

    /// Passes over the mark that opens, once it is known whether it comes.
    private mutating func begin(_ thinks: Bool, isWhole: Bool) {
        let rest = held.drop { [0x09, 0x0A, 0x0D, 0x20].contains($0) }
        if rest.starts(with: Self.opening) {
            held = Array(rest.dropFirst(Self.opening.count))
            state = .thinking
        } else if isWhole || !Self.opening.starts(with: rest) {
            state = thinks ? .thinking : .saying
        }
    }

    private mutating func think(_ pieces: inout [Piece]) {
        var end = 0
        while end < held.count {
            let rest = held[end...]
            if rest.starts(with: Self.closing) {
                add(Piece.reasoning, held[..<end], &pieces)
                held.removeFirst(end + Self.closing.count)
                state = .saying
                return
            }
            if Self.closing.starts(with: rest) { break }
            end += 1
        }
        add(Piece.reasoning, held[..<end], &pieces)
        held.removeFirst(end)
    }

    private mutating func flush(_ pieces: inout [Piece]) {
        add(isThinking ? Piece.reasoning : Piece.text, held[...], &pieces)
        held = []
    }

    private func add(_ kind: (String) -> Piece, _ bytes: ArraySlice<UInt8>, _ pieces: inout [Piece]) {
        if !bytes.isEmpty { pieces.append(kind(String(decoding: bytes, as: UTF8.self))) }
    }
}
