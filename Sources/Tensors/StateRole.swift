/// What a value that outlives a call is to the runtime, which keeps it.
package enum StateRole: Sendable, Hashable, Codable {
    /// Keys that a layer's attention has seen, a row for each slot of the cache.
    case keys(layer: Int)
    /// The values beside them.
    case values(layer: Int)
    /// The last columns that a layer's short convolution has read, for each sequence.
    case columns(layer: Int)
    /// What a layer that reads tokens one after another keeps of those it has read, for each sequence.
    case recurrent(layer: Int)

    package var layer: Int {
        switch self {
        case .keys(let layer), .values(let layer), .columns(let layer), .recurrent(let layer): layer
        }
    }

    /// How text calls the kind, before the layer in parentheses.
    package var word: String {
        switch self {
        case .keys: "keys"
        case .values: "values"
        case .columns: "columns"
        case .recurrent: "recurrent"
        }
    }

    /// The role that text spells `word(layer)`; nil for another word.
    package init?(word: String, layer: Int) {
        let all: [StateRole] = [.keys(layer: layer), .values(layer: layer), .columns(layer: layer), .recurrent(layer: layer)]
        guard let role = all.first(where: { $0.word == word }) else { return nil }
        self = role
    }
}

extension StateRole: CustomStringConvertible {
    package var description: String { "\(word)(\(layer))" }
}
