import IR
import Tensors
import Testing

/// Rules find the graph that they are written as, change it through the editor, and say why not.
@Suite struct RewriteTests {
    private static let rmsNorm = Rule("rms-norm") { p in
        let x = p.value("x")
        let scale = p.rsqrt(p.add(p.mean(p.square(x)), p.literal(named: "eps")))
        return p.mul(p.mul(x, scale), p.value("w"))
    } check: { m throws(Refusal) in
        try m.require(m.type("w").shape.rank == 1, "the weight is not a vector", at: "w")
    } rewrite: { m, e throws(Refusal) in
        e.rmsNorm(m["x"], m["w"], eps: try m.number("eps"))
    }

    private static let fuse = Pass("fuse-rms-norm", .fused) { editor throws(PassError) in try editor.apply([rmsNorm]) }

    private static func norm(weight: String = "f32[4]", square: String = "%x", extra: String = "", result: String = "%6") -> String {
        """
        // vir 1 · stage: canonical
        graph @norm(%x: f32[T, 4], %z: f32[T, 4], %w: \(weight)) -> f32[T, 4] {
          %0 = square \(square) : f32[T, 4]  // layers.0.norm
          %1 = mean %0 {axis = 1} : f32[T, 1]  // layers.0.norm
          %2 = literal {value = 1e-06} : f32[]  // layers.0.norm
          %3 = add %1, %2 : f32[T, 1]  // layers.0.norm
          %4 = rsqrt %3 : f32[T, 1]  // layers.0.norm
          %5 = mul %x, %4 : f32[T, 4]  // layers.0.norm
          %6 = mul %5, %w : f32[T, 4]  // layers.0.norm
        \(extra)
          return \(result)
        }
        """
    }

    private static func parse(_ text: String) throws -> Module {
        let module = try Parser.parse(text)
        try Verifier.verify(module)
        return module
    }

    @Test func replacesWhatThePatternFinds() throws {
        var module = try Self.parse(Self.norm())
        let report = try Self.fuse.run(on: &module)
        try Verifier.verify(module)
        #expect(
            Printer.print(module) == Printer.print(
                try Parser.parse(
                    """
                    // vir 1 · stage: canonical
                    graph @norm(%x: f32[T, 4], %z: f32[T, 4], %w: f32[4]) -> f32[T, 4] {
                      %0 = rms_norm %x, %w {eps = 1e-06} : f32[T, 4]  // layers.0.norm
                      return %0
                    }
                    """)))
        #expect(report.matches == ["rms-norm": 1])
        #expect(report.rewriteCounts == ["rms-norm": 1])
        #expect(report.rewrites[0].at == "@norm %6 = mul %5, %w (layers.0.norm)")
        #expect(report.missCount == 0)
        #expect((report.nodesBefore, report.nodesAfter) == (7, 1))
    }

    @Test func aSecondRunFindsNothing() throws {
        var module = try Self.parse(Self.norm())
        try Self.fuse.run(on: &module)
        let fused = module
        let report = try Self.fuse.run(on: &module)
        #expect(module == fused)
        #expect(report.rewrites.isEmpty)
    }

    @Test func saysWhyAValueDiffers() throws {
        var module = try Self.parse(Self.norm(square: "%z"))
        let report = try Self.fuse.run(on: &module)
        #expect(report.rewrites.isEmpty)
        #expect(report.misses == [Miss(rule: "rms-norm", reason: "x is two different values", at: "@norm %z")])
    }

    @Test func saysWhyTheCheckRefuses() throws {
        var module = try Self.parse(Self.norm(weight: "f32[1, 4]"))
        let report = try Self.fuse.run(on: &module)
        #expect(report.misses == [Miss(rule: "rms-norm", reason: "the weight is not a vector", at: "@norm %w")])
    }

    @Test func leavesWhatOthersRead() throws {
        let extra = "  %7 = add %5, %6 : f32[T, 4]"
        var module = try Self.parse(Self.norm(extra: extra, result: "%7"))
        let before = module
        let report = try Self.fuse.run(on: &module)
        #expect(module == before)
        #expect(
            report.misses == [
                Miss(rule: "rms-norm", reason: "mul is read outside of the match", at: "@norm %5 = mul %x, %4 (layers.0.norm)")
            ])
    }

    @Test func theLimitStopsRewrites() throws {
        var module = try Self.parse(Self.norm())
        let before = module
        var budget: Int? = 0
        let report = try Self.fuse.run(on: &module, budget: &budget)
        #expect(module == before)
        #expect(report.matches == ["rms-norm": 1])
        #expect(report.rewrites.isEmpty)
    }

    @Test func aRewriteOfAnotherTypeIsAnError() throws {
        let wrong = Rule("wrong") { p in p.square(p.value("x")) } rewrite: { m, e in e.mean(m["x"]) }
        let pass = Pass("wrong-pass", .fused) { editor throws(PassError) in try editor.apply([wrong]) }
        var module = try Self.parse(Self.norm())
        let error = #expect(throws: PassError.self) { try pass.run(on: &module) }
        #expect(error?.description.contains("pass wrong-pass: rule wrong: a value of f32[T, 4] is replaced by one of f32[T, 1]") == true)
    }

    @Test func rulesThatNeverEndAreAnError() throws {
        let flip = Rule("flip") { p in p.square(p.value("x")) } rewrite: { m, e in e.square(e.neg(m["x"])) }
        let pass = Pass("flip", .fused) { editor throws(PassError) in try editor.apply([flip]) }
        var module = try Self.parse(Self.norm())
        #expect(throws: PassError.self) { try pass.run(on: &module) }
    }

    /// A sum that others read before the norm moves up with its norm.
    @Test func nodesAreSortedAgain() throws {
        let rule = Rule("add-norm") { p in
            p.some(RMSNorm.self, p.shared(p.add(p.value("x"), p.value("r")), named: "sum"), p.value("w"), named: "norm")
        } rewrite: { m, e throws(Refusal) in
            let fused = e.addRMSNorm(m["x"], m["r"], m["w"], eps: try m.op("norm", as: RMSNorm.self).eps)
            e.replace(m["sum"], with: fused.sum)
            return fused.y
        }
        let pass = Pass("fuse-residual-norm", .fused) { editor throws(PassError) in try editor.apply([rule]) }
        var module = try Self.parse(
            """
            // vir 1 · stage: fused
            graph @g(%x: f32[T, 4], %r: f32[T, 4], %w: f32[4]) -> f32[T, 4], f32[T, 4] {
              %0 = add %x, %r : f32[T, 4]
              %1 = neg %0 : f32[T, 4]
              %2 = rms_norm %0, %w {eps = 1e-06} : f32[T, 4]
              return %1, %2
            }
            """)
        try pass.run(on: &module)
        try Verifier.verify(module)
        #expect(module.graphs[0].nodes.map(\.op.mnemonic) == ["add_rms_norm", "neg"])
    }
}
