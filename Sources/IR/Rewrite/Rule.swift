/// One rewrite, downhill: a graph to find, a check that says why not, and what to put in its place.
///
///     Rule("rms-norm") { p in
///         let x = p.value("x")
///         return p.mul(p.mul(x, p.rsqrt(p.add(p.mean(p.square(x)), p.literal(named: "eps")))), p.value("w"))
///     } rewrite: { m, e throws(Refusal) in
///         e.rmsNorm(m["x"], m["w"], eps: try m.number("eps"))
///     }
package struct Rule: Sendable {
    package let name: String
    package let pattern: Pattern
    let check: @Sendable (Match) throws(Refusal) -> Void
    let rewrite: @Sendable (Match, Editor) throws(Refusal) -> ValueID

    /// - Parameter rewrite: writes the replacement and returns what takes the place of the pattern's outermost value; throws a
    ///   refusal instead of writing something wrong.
    package init(
        _ name: String, pattern: (PatternBuilder) -> PatternValue,
        check: @escaping @Sendable (Match) throws(Refusal) -> Void,
        rewrite: @escaping @Sendable (Match, Editor) throws(Refusal) -> ValueID
    ) {
        self.name = name
        self.pattern = Pattern(pattern)
        self.check = check
        self.rewrite = rewrite
    }

    package init(
        _ name: String, pattern: (PatternBuilder) -> PatternValue,
        rewrite: @escaping @Sendable (Match, Editor) throws(Refusal) -> ValueID
    ) {
        self.init(name, pattern: pattern, check: { _ in }, rewrite: rewrite)
    }
}
