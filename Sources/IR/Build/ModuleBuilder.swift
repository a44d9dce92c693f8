package import Tensors

/// Collects a module while a model definition runs; not for use by several threads.
package final class ModuleBuilder {
    private var module: Module
    private let available: [String: WeightDecl]
    private var used: Set<String> = []

    /// - Parameter weights: every weight that the checkpoint can give; those that no graph reads do not reach the module.
    package init(weights: [WeightDecl] = [], attributes: [String: String] = [:]) {
        module = Module(attributes: attributes)
        available = Dictionary(weights.map { ($0.name, $0) }) { first, _ in first }
    }

    /// Declares a symbol with its largest value and returns it as an extent.
    @discardableResult
    package func symbol(_ name: String, bound: Int) -> Dim {
        if let index = module.symbols.firstIndex(where: { $0.name == name }) {
            module.symbols[index].bound = Swift.max(bound, module.symbols[index].bound)
        } else {
            module.symbols.append(Symbol(name, bound: bound))
        }
        return .symbol(name)
    }

    package func attribute(_ name: String, _ value: String) { module.attributes[name] = value }

    package func hasWeight(_ name: String) -> Bool { available[name] != nil }

    /// Records one entry: `body` writes the graph and returns its results; the first thing that does not fit is thrown.
    package func graph(_ name: String, _ body: (GraphBuilder) -> [Value]) throws(TypeError) {
        let builder = GraphBuilder(name, module: self)
        let results = body(builder)
        module.graphs.append(try builder.finish(results))
    }

    /// The module at stage `traced`, with the weights that its graphs read in the order of first use.
    package func finish() -> Module { module }

    func use(_ name: String) -> WeightDecl? {
        guard let weight = available[name] else { return nil }
        if used.insert(name).inserted { module.weights.append(weight) }
        return weight
    }
}
