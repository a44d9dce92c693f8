import IR
import Tensors
import Testing

/// Each promise of the IR has a module that breaks it.
@Suite struct VerifierTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var text: String
        var problem: String?
        var testDescription: String { problem ?? "accepted" }
    }

    private static func module(_ stage: String, _ body: String, declarations: String = "symbol T <= 8") -> String {
        "// vir 1 · stage: \(stage)\n\(declarations)\ngraph @g(%x: f32[T, 4]) -> f32[T, 4] {\n\(body)\n}"
    }

    /// Attention masked by the input `%m`, or by `%4`, which is computed.
    private static func masked(_ parameter: String, by visible: String = "%m") -> String {
        let computed = """
              %0 = max %q {axis = 1} : f32[T, 1, 4]
              %1 = slice %0 {axis = 2, start = 0, end = 1} : f32[T, 1, 1]
              %2 = reshape %1 {dims = [T, 1]} : f32[T, 1]
              %3 = expand %2 {dims = [T, S]} : f32[T, S]
              %4 = cast %3 {to = bool} : bool[T, S]
            """
        return """
            // vir 1 · stage: fused
            graph @g(%q: f32[T, 2, 4], %k: f32[S, 1, 4], %m: \(parameter)) -> f32[T, 2, 4] {
            \(visible == "%m" ? "" : computed)
              %y = attention %q, %k, %k, \(visible) {scale = 1.0} : f32[T, 2, 4]
              return %y
            }
            """
    }

    private static let used = "  %0 = neg %x : f32[T, 4]\n  return %0"
    private static let dead = "  %0 = neg %x : f32[T, 4]\n  return %x"

    static let cases: [Case] = [
        .init(text: module("traced", used), problem: nil),
        .init(text: module("traced", dead), problem: nil),
        .init(text: module("canonical", dead), problem: "graph @g, %0: nothing reads the results of neg"),
        .init(text: module("traced", used, declarations: ""), problem: nil),
        .init(text: module("specialized", used, declarations: ""), problem: "graph @g, %x: symbol T has no bound at stage specialized"),
        .init(text: module("traced", used, declarations: "symbol T <= 0"), problem: "symbol T has the bound 0, which is below 1"),
        .init(text: module("traced", used, declarations: "symbol T <= 1 symbol T <= 2"), problem: "symbol T is declared twice"),
        .init(text: module("traced", used, declarations: "weight @w : f32[1] weight @w : f32[1]"), problem: "weight @w is declared twice"),
        .init(text: module("traced", used, declarations: "weight @w : f32[N]"), problem: "weight @w is f32[N], whose extents are not numbers"),
        .init(
            text: module("traced", used + "\n}\ngraph @g() -> () {"), problem: "graph @g stands twice"),
        .init(
            text: module("traced", "  %w = weight @w : f32[4]\n  %0 = mul %x, %w : f32[T, 4]\n  return %0"),
            problem: "graph @g, %0: weight @w is not declared"),
        .init(
            text: module("traced", "  %w = weight @w : f32[4]\n  %0 = mul %x, %w : f32[T, 4]\n  return %0", declarations: "weight @w : bf16[4]"),
            problem: "graph @g, %0: weight @w is declared as bf16[4], not f32[4]"),
        .init(
            text: module("traced", "  %w = literal {value = 1} : f32[4]\n  %0 = rms_norm %x, %w {eps = 0.0} : f32[T, 4]\n  return %0"),
            problem: "graph @g, %1: rms_norm is a fused op, which stage traced does not have"),
        .init(
            text: module("fused", "  %0 = neg %x : f32[T, 4] via \"plain_neg\"\n  return %0"), problem: "graph @g, %0: neg has a kernel before stage selected"),
        .init(text: module("selected", used), problem: "graph @g, %0: neg has no kernel at stage selected"),
        .init(
            text: module("selected", "  %0 = neg %x : f32[T, 4] via \"plain_neg\" at 0+128\n  return %0"),
            problem: "graph @g, %0: neg has a place before stage planned"),
        .init(
            text: module("planned", "  %0 = neg %x : f32[T, 4] via \"plain_neg\"\n  %1 = neg %0 : f32[T, 4] via \"plain_neg\"\n  return %1"), problem: "graph @g, %0: neg has no place at stage planned"),
        .init(
            text: module("packed", "  %w = literal {value = 1} : f32[4]\n  %0 = mul %x, %w : f32[T, 4] via \"plain_mul\"\n  return %0"),
            problem: "graph @g, %1: mul reads a constant that is not packed at stage packed"),
        .init(text: module("planned", "  %0 = neg %x : f32[T, 4] via \"plain_neg\" at 0+128\n  return %0"), problem: nil),
        .init(
            text: module("planned", "  %0 = neg %x : f32[T, 4] via \"plain_neg\" at 0+127\n  return %0"),
            problem: "graph @g, %0: f32[T, 4] does not fit in 127 bytes"),
        .init(
            text: module("planned", "  %0 = neg %x : f32[T, 4] via \"plain_neg\" at -64+128\n  return %0"),
            problem: "graph @g, %0: the place -64+128 is negative"),
        .init(text: masked("bool[T, S] causal"), problem: nil),
        .init(text: masked("bool[T, S]"), problem: "graph @g: %m is bool[T, S] without a mask"),
        .init(text: masked("bool[T, S]"), problem: "graph @g, %0: %m, by which attention is masked, is not an input with a mask"),
        .init(text: masked("bool[T, S] causal", by: "%4"), problem: "graph @g, %5: %4, by which attention is masked, is not an input with a mask"),
        .init(text: masked("bool[T, S] causal {window = 0}"), problem: "graph @g: the window of %m is 0, which is below 1"),
        .init(text: masked("f32[T, S] causal", by: "%4"), problem: "graph @g: %m is f32[T, S], which is not the matrix of a mask"),
        .init(text: masked("bool[T] causal", by: "%4"), problem: "graph @g: %m is bool[T], which is not the matrix of a mask"),
    ]

    @Test(arguments: cases) func findsTheProblem(_ example: Case) throws {
        let module = try Parser.parse(example.text)
        guard let problem = example.problem else {
            try Verifier.verify(module)
            return
        }
        let error = #expect(throws: VerificationError.self) { try Verifier.verify(module) }
        #expect(error?.problems.contains(problem) == true, "\(error?.description ?? "")")
    }

    @Test func anInputNeedsAName() throws {
        let builder = ModuleBuilder()
        try builder.graph("g") { b in [b.input("0", .init(.f32, [1]))] }
        #expect(throws: VerificationError.self) { try Verifier.verify(builder.finish()) }
    }

    @Test func anEditThatReadsAheadIsFound() throws {
        let module = try Parser.parse(Self.module("traced", "  %0 = neg %x : f32[T, 4]\n  %1 = exp %0 : f32[T, 4]\n  return %1"))
        let editor = Editor(module.graphs[0], report: PassReport(pass: "test", version: 1))
        editor.reorder(module.graphs[0].nodes.map(\.id).reversed())
        var broken = module
        broken.graphs = [editor.graph]
        let error = #expect(throws: VerificationError.self) { try Verifier.verify(broken) }
        #expect(error?.description == "graph @g: exp reads %1 before it is defined")
    }
}
