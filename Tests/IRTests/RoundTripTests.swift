import IR
import Plan
import Tensors
import Testing

/// Text is the module: printing and parsing lose nothing.
@Suite struct RoundTripTests {
    @Test func everyOpStandsInTheFixture() throws {
        let module = try Parser.parse(Fixture.text("every-op.vir"))
        let used = Set(module.graphs.flatMap { $0.nodes.map(\.op.mnemonic) })
        let missing = OpTable.all.map { $0.schema.name }.filter { !used.contains($0) }
        #expect(missing.isEmpty, "add these ops to Fixtures/every-op.vir")
    }

    @Test func everyOpComesBack() throws {
        let module = try Parser.parse(Fixture.text("every-op.vir"))
        try Verifier.verify(module)
        let text = Printer.print(module)
        let again = try Parser.parse(text)
        #expect(again == module.compacted())
        #expect(Printer.print(again) == text)
        #expect(module.weight("embed")?.source == "model.embed_tokens.weight")
        #expect(module.graphs[0].producer(of: module.graphs[0].results[1])?.origin == "visual.patch_embed")
    }

    @Test(arguments: 0..<60) func randomModulesComeBack(seed: UInt64) throws {
        var random = RandomModule(seed: seed)
        let module = try random.make()
        try Verifier.verify(module)
        let text = Printer.print(module)
        let again = try Parser.parse(text)
        #expect(again == module.compacted())
        #expect(Printer.print(again) == text)
    }

    @Test func opNamesAreUnique() {
        let names = OpTable.all.map { $0.schema.name }
        #expect(Set(names).count == names.count)
    }

    @Test(arguments: [
        Mask.causal(), .causal(window: 4096), .causal(spans: true), .causal(window: 512, spans: true), .segments("images"),
        .segments(queries: "queries", keys: "tiles"),
    ])
    func masksComeBackAndStayThroughEdits(_ mask: Mask) throws {
        let builder = ModuleBuilder()
        builder.symbol("T", bound: 8)
        try builder.graph("decode") { b in
            let visible = b.mask("visible", mask, queries: "T", keys: 6)
            return [b.where(visible, b.input("x", .init(.f32, ["T", 6])), b.literal(0))]
        }
        let module = builder.finish()
        try Verifier.verify(module)
        #expect(Printer.print(module).contains("%visible: bool[T, 6] \(mask), "))
        #expect(try Parser.parse(Printer.print(module)) == module.compacted())
        let gear = try module.graphs[0].substituting(["T": 4], name: "decode.4")
        let part = module.graphs[0].extracting(module.graphs[0].results)
        for graph in [module.graphs[0].compacted(), gear, part] { #expect(graph.input(named: "visible")?.mask == mask) }
        #expect(gear.input(named: "visible").map { gear.mask(of: $0.value) } == mask)
        #expect(gear.input(named: "x").flatMap { gear.mask(of: $0.value) } == nil)
    }

    @Test func aNodeWithKernelAndPlaceComesBack() throws {
        let text = """
            // vir 1 · stage: planned
            symbol T <= 4
            graph @decode(%x: f32[T, 2]) -> f32[T, 2] {
              %0 = neg %x : f32[T, 2] via "plain_neg" at 64+32 by 4 // model.norm
              %1 = exp %0 : f32[T, 2] via "plain_exp" at result 0
              %2 = reshape %x {dims = [T, 1, 2]} : f32[T, 1, 2] via "view" at input x
              %3 = reshape %2 {dims = [T, 2]} : f32[T, 2] via "view" at input x
              %4 = add %1, %3 : f32[T, 2] via "add" at result 0
              return %4
            }
            """
        let module = try Parser.parse(text)
        try Verifier.verify(module)
        let node = try #require(module.graphs[0].nodes.first)
        #expect(node.kernel?.text == "plain_neg")
        #expect(node.origin == "model.norm")
        #expect(module.graphs[0][node.result].place == .arena(Place.Region(offset: 64, byteCount: 32, stride: 4)))
        #expect(module.graphs[0].nodes.dropFirst().prefix(2).map { module.graphs[0][$0.result].place } == [.result(0), .input("x")])
        #expect(try Parser.parse(Printer.print(module)) == module.compacted())
    }
}
