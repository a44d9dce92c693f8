import IR
import Tensors

extension Match {
    /// Refuses when the whole has another type than one of its parts, as broadcasting can make it.
    func requireSameType(_ name: String) throws(Refusal) {
        let type = graph.type(of: root.result)
        guard type == self.type(name) else { throw Refusal("the result is \(type), not \(self.type(name))", at: self[name]) }
    }

    /// Refuses a parameter that is not one number for each element of the rows of `x`.
    func requireRow(_ name: String, of x: String) throws(Refusal) {
        guard let last = type(x).shape.dims.last, type(name).shape.dims == [last], type(name).element.isFloat else {
            throw Refusal("\(name) is \(type(name)), not a vector as long as the rows", at: self[name])
        }
    }

    /// The literal `eps`, when it is what a norm can add.
    func eps() throws(Refusal) -> Double {
        let eps = try number("eps")
        guard eps >= 0, eps.isFinite else { throw Refusal("eps is \(eps)", at: self["eps"]) }
        return eps
    }

    /// How often the match reads a captured value.
    func reads(_ name: String) -> Int { nodes.reduce(0) { $0 + $1.operands.count { $0 == self[name] } } }
}

extension PatternBuilder {
    /// `activation(x)` as models write it; others may read its constants too.
    func activated(_ activation: Activation, _ x: PatternValue) -> PatternValue {
        activate(activation, x) { shared(literal($0)) }
    }
}
