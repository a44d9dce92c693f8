import IR
import Tensors

/// How a packed weight is made of checkpoint tensors: a small graph without inputs, printed into the artifact.
struct Recipe: Hashable {
    /// The values that the packed layout takes, most often one; for AWQ the packed numbers, the zeros and the scales.
    let graph: Graph
    /// The graph as text: equal recipes have equal texts.
    let text: String

    static func == (left: Recipe, right: Recipe) -> Bool { left.text == right.text }

    func hash(into hasher: inout Hasher) { hasher.combine(text) }

    /// The part of `graph` that computes `values`, all of them constants.
    init(of values: [ValueID], in graph: Graph) {
        self.graph = graph.recipe(values)
        text = Printer.print(self.graph)
    }

    /// The weights it reads, in order of first use.
    var sources: [String] {
        var names: [String] = []
        for case let weight as Weight in graph.nodes.map(\.op) where !names.contains(weight.name) {
            names.append(weight.name)
        }
        return names
    }
}
