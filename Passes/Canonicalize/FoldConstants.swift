package import IR
import Tensors

/// Computes what depends on literals alone.
///
///     %2 = mul %0, %1        (both literals)      →      %2 = literal 0.5
package let foldConstants = Pass("fold-constants", .canonical) { editor throws(PassError) in
    try editor.apply([fold(Add.self, +), fold(Sub.self, -), fold(Mul.self, *), foldCast])
}

private func fold<O: Op>(_ type: O.Type, _ compute: @escaping @Sendable (Double, Double) -> Double) -> Rule {
    Rule("fold-\(O.schema.name)") { p in
        p.some(type, p.shared(p.literal(named: "a")), p.shared(p.literal(named: "b")))
    } rewrite: { m, e throws(Refusal) in
        let result = m.graph.type(of: m.root.result)
        guard result.element == .f32 else { throw Refusal("only f32 is folded", at: m.root.result) }
        let (a, b) = (try m.number("a"), try m.number("b"))
        return e.literal(Double(Float(compute(a, b))), result)
    }
}

private let foldCast = Rule("fold-cast") { p in
    p.some(Cast.self, p.shared(p.literal(named: "x")))
} rewrite: { m, e throws(Refusal) in
    let value = try m.number("x")
    let type = m.graph.type(of: m.root.result)
    guard type.element == .f32, Double(Float(value)) == value else {
        throw Refusal("the cast changes the value", at: m["x"])
    }
    return e.literal(value, type)
}
