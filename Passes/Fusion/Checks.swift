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

    /// The layer that makes `y` with an activation; refuses unless the match makes all `reads` of `y`.
    func activated(_ activation: Activation, reads: Int, _ editor: Editor) throws(Refusal) -> ValueID {
        guard let node = graph.producer(of: self["y"]), var layer = node.op(as: Linear.self) else {
            throw Refusal("it does not follow a linear layer", at: self["y"])
        }
        try requireSameType("y")
        try require(layer.activation == .none && !layer.hasResidual, "the layer has more to do already", at: "y")
        try require(editor.useCount(self["y"]) == reads, "the sums before the activation are read elsewhere", at: "y")
        layer.activation = activation
        return editor.write(layer, node.operands)[0]
    }
}
