package import IR
import Tensors

/// Joins the gate and the way up of a gated MLP, or finds them joined, and gates one half of the columns by the other.
///
///     %g = linear %x, %wg
///     %u = linear %x, %wu                         →      %y = linear %x, (concat %wg, %wu)
///     %m = mul (mul %g, (sigmoid %g)), %u                %m = gated_activation %y {activation = silu}
package let fuseGatedActivation = Pass("fuse-gated-activation", .fused) { editor throws(PassError) in
    try editor.apply(Activation.functions.flatMap { [halves($0), layers($0)] })
}

private func halves(_ activation: Activation) -> Rule {
    Rule("\(activation.rawValue)-of-halves") { p in
        let y = p.value("y")
        let gate = p.some(Slice.self, y, named: "gate")
        return p.mul(p.activated(activation, gate), p.some(Slice.self, y, named: "up"))
    } rewrite: { m, e throws(Refusal) in
        let axis = m.type("y").shape.rank - 1
        guard axis >= 0, let width = m.type("y").shape[axis].fixedValue, width % 2 == 0 else {
            throw Refusal("the rows have no two halves", at: m["y"])
        }
        let (gate, up) = (try m.op("gate", as: Slice.self), try m.op("up", as: Slice.self))
        try m.require(gate == Slice(axis: axis, start: 0, end: width / 2), "the gate is not the first half", at: "gate")
        try m.require(up == Slice(axis: axis, start: width / 2, end: width), "the way up is not the second half", at: "up")
        return e.gatedActivation(m["y"], activation)
    }
}

private func layers(_ activation: Activation) -> Rule {
    Rule("\(activation.rawValue)-of-layers") { p in
        p.mul(p.activated(activation, p.value("gate")), p.value("up"))
    } rewrite: { m, e throws(Refusal) in
        let (gate, up) = (try m.layer("gate"), try m.layer("up"))
        try m.require(gate.id != up.id, "one layer is both", at: "up")
        for name in ["gate", "up"] {
            try m.require(e.useCount(m[name]) == m.reads(name), "the layer is read elsewhere", at: name)
        }
        try m.require(m.type("gate") == m.type("up"), "the layers differ in width", at: "up")
        return e.gatedActivation(try JoinedLayers([gate, up], in: e.graph).write(by: e), activation)
    }
}

extension Match {
    fileprivate func layer(_ name: String) throws(Refusal) -> Node {
        guard let node = graph.producer(of: self[name]), JoinedLayers.givesLayer(node, in: graph) else {
            throw Refusal("the \(name) is not made by a linear layer", at: self[name])
        }
        return node
    }
}
