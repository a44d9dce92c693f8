package import Tensors

/// A named extent with the largest value that it takes.
package struct Symbol: Sendable, Hashable {
    package var name: String
    package var bound: Int

    package init(_ name: String, bound: Int) {
        self.name = name
        self.bound = bound
    }
}

/// A named constant that points into the checkpoint; nothing is read until it is packed.
package struct WeightDecl: Sendable, Hashable {
    /// The name in the graph, independent of how a checkpoint spells it.
    package var name: String
    package var type: TensorType
    /// The tensor's name in the checkpoint.
    package var source: String

    package init(_ name: String, _ type: TensorType, source: String? = nil) {
        self.name = name
        self.type = type
        self.source = source ?? name
    }
}

/// A model between checkpoint and plan: its entries as graphs over shared symbols and weights.
package struct Module: Sendable, Hashable {
    package var stage: Stage
    package var symbols: [Symbol]
    package var weights: [WeightDecl]
    package var graphs: [Graph]
    /// Facts about the model that later stages read, sorted by name when printed.
    package var attributes: [String: String]

    package init(
        stage: Stage = .traced, symbols: [Symbol] = [], weights: [WeightDecl] = [], graphs: [Graph] = [],
        attributes: [String: String] = [:]
    ) {
        self.stage = stage
        self.symbols = symbols
        self.weights = weights
        self.graphs = graphs
        self.attributes = attributes
    }

    /// The graph of an entry.
    package func graph(_ name: String) -> Graph? { graphs.first { $0.name == name } }

    package func weight(_ name: String) -> WeightDecl? { weights.first { $0.name == name } }

    package func symbol(_ name: String) -> Symbol? { symbols.first { $0.name == name } }

    /// The largest value of every symbol, for sizing and cost.
    package var bounds: [String: Int] { Dictionary(symbols.map { ($0.name, $0.bound) }) { a, _ in a } }

    /// The same module with every graph compacted.
    package func compacted() -> Module {
        var copy = self
        copy.graphs = graphs.map { $0.compacted() }
        return copy
    }
}
