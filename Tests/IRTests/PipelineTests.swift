import IR
import Tensors
import Testing

/// A pipeline runs its passes in order, reaches their stages, and shows observers what happened.
@Suite struct PipelineTests {
    private static let double = Rule("neg-neg") { p in p.neg(p.neg(p.value("x"))) } rewrite: { m, _ in m["x"] }
    private static let simplify = Pass("simplify", .canonical) { e throws(PassError) in try e.apply([double]) }
    private static let sweep = Pass("sweep", .canonical, version: 2) { e in e.eraseDead() }
    private static let specialize = Pass("gears", .specialized) { module, _ throws(PassError) in
        do throws(TypeError) {
            module.graphs.append(try module.graphs[0].substituting(["T": 4], name: "g.4"))
        } catch {
            throw PassError(error.description)
        }
    }
    private static let text = """
        // vir 1 · stage: traced
        symbol T <= 8
        graph @g(%x: f32[T, 4], state %s: f32[T]) -> f32[2, T, 2] {
          %0 = neg %x : f32[T, 4]
          %1 = neg %0 : f32[T, 4]
          %2 = exp %1 : f32[T, 4]
          %3 = exp %1 : f32[T, 4]
          %4 = reshape %2 {dims = [2, T, 2]} : f32[2, T, 2]
          return %4
        }
        """

    @Test func reachesStages() throws {
        var module = try Parser.parse(Self.text)
        let pipeline = PassPipeline([Self.simplify, Self.sweep, Self.specialize])
        var dumps: [String] = []
        let recorder = PassRecorder()
        let dumper = PassDumper { name, _ in dumps.append(name) }
        let reports = try pipeline.run(on: &module, options: .init(verifies: true), observers: [recorder, dumper])
        #expect(module.stage == .specialized)
        #expect(reports.map(\.pass) == ["simplify", "sweep", "gears"])
        #expect(reports.map(\.version) == [1, 2, 1])
        #expect(
            dumps == [
                "stage-traced.vir", "01-simplify.vir", "02-sweep.vir", "stage-canonical.vir", "03-gears.vir", "stage-specialized.vir",
            ])
        #expect(recorder.changes[1].lines == ["graph @g", "- %1 = exp %x : f32[T, 4]"])
        #expect(module.graphs.map(\.name) == ["g", "g.4"])
        let gear = module.graphs[1]
        #expect(gear.results.map(gear.type(of:)).description == "[f32[2, 4, 2]]")
        #expect(gear.states.map { gear.type(of: $0.value) }.description == "[f32[4]]")
    }

    @Test func stopsAfterAStage() throws {
        var module = try Parser.parse(Self.text)
        let reports = try PassPipeline([Self.simplify, Self.sweep, Self.specialize]).run(on: &module, options: .init(stopAfter: .canonical))
        #expect(reports.count == 2)
        #expect(module.stage == .canonical)
    }

    @Test func theLimitHoldsOverAllPasses() throws {
        for limit in 0...2 {
            var module = try Parser.parse(Self.text)
            let reports = try PassPipeline([Self.simplify, Self.simplify]).run(on: &module, options: .init(rewriteLimit: limit))
            #expect(reports.reduce(0) { $0 + $1.rewrites.count } == min(limit, 1))
        }
    }

    @Test func aBrokenModuleNamesThePass() throws {
        var module = try Parser.parse(Self.text)
        let renames = Pass("renames", .canonical) { module, _ in module.graphs.append(module.graphs[0]) }
        let error = #expect(throws: PassError.self) { try PassPipeline([renames]).run(on: &module, options: .init(verifies: true)) }
        #expect(error?.description.contains("pass renames: the module is not well formed afterwards:\ngraph @g stands twice") == true)
    }
}
