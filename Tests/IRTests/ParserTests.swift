import IR
import Seeded
import Testing

/// Every text that is no module gets a line, a column and a reason.
@Suite struct ParserTests {
    private static let head = "// vir 1 · stage: traced\n"

    struct Case: Sendable, CustomTestStringConvertible {
        var text: String
        var message: String
        var testDescription: String { message }
    }

    private static func graph(_ body: String, result: String = "()") -> String {
        head + "graph @g(%x: f32[T, 4], %i: i32[T]) -> \(result) {\n\(body)\n}"
    }

    private static func mask(_ mask: String) -> String { head + "graph @g(%m: bool[T, S] \(mask)) -> () {\n}" }

    static let cases: [Case] = [
        .init(text: "", message: "1:1: the text does not start with `// vir 1 · stage: traced`"),
        .init(text: "// vir 2 · stage: traced", message: "1:1: version `vir 2` is not known; this program reads `vir 1`"),
        .init(
            text: "// vir 1 · stage: done",
            message: "1:1: `stage: done` is not known; stages are traced, canonical, fused, specialized, selected, packed, planned"),
        .init(text: head + "symbol T < 4", message: "2:10: unexpected character `<`"),
        .init(text: head + "symbol T <= x", message: "2:13: expected an integer, not `x`"),
        .init(text: head + "weight @w : q8[1]", message: "2:13: `q8` is not an element type; they are f32, f16, bf16, f64, i64, i32, i16, i8, u8, bool"),
        .init(text: head + "weight @w : f32[0*T]", message: "2:17: a symbol is multiplied by 1 or more"),
        .init(text: head + "weight @w : f32[99999999999999999999]", message: "2:17: expected an integer, not `99999999999999999999`"),
        .init(text: head + "weight @w : f32[1099511627776, 1099511627776]", message: "2:13: f32[1099511627776, 1099511627776] has too many elements"),
        .init(text: head + "weight @\"w : f32[1]", message: "2:20: the string has no end"),
        .init(text: head + "grph @g", message: "2:1: expected symbol, attribute, weight or graph, not `grph`"),
        .init(text: graph("  %0 = frob %x : f32[T, 4]"), message: "3:8: there is no op `frob`"),
        .init(text: graph("  %0 = neg %y : f32[T, 4]"), message: "3:12: %y is not defined above"),
        .init(text: graph("  %0 = neg %x : f32[T, 5]"), message: "3:17: neg makes f32[T, 4] here"),
        .init(text: graph("  %x = neg %x : f32[T, 4]"), message: "3:3: %x is defined twice"),
        .init(text: graph("  %0, %1 = neg %x : f32[T, 4]"), message: "3:3: neg has 1 results, not 2"),
        .init(text: graph("  %0 = add %x : f32[T, 4]"), message: "3:8: add: takes 2 operands (a, b), not 1"),
        .init(text: graph("  %0 = add %x, %i : f32[T, 4]"), message: "3:8: add: b holds i32, not f32"),
        .init(text: graph("  %0 = mean %x {axis = 2} : f32[T, 1]"), message: "3:8: mean: axis 2 is not in f32[T, 4]"),
        .init(text: graph("  %0 = mean %x : f32[T, 1]"), message: "3:16: mean needs its attribute `axis`"),
        .init(text: graph("  %0 = mean %x {axis = 1, axis = 1} : f32[T, 1]"), message: "3:27: attribute `axis` stands twice"),
        .init(text: graph("  %0 = mean %x {exis = 1} : f32[T, 1]"), message: "3:17: mean has no attribute `exis`"),
        .init(text: graph("  %0 = linear %x, %x, bios: %x : f32[T, 1]"), message: "3:23: `bios` is not an operand that can stand here"),
        .init(text: mask("causl"), message: "2:25: expected `)`, not `causl`"),
        .init(text: mask("causal {}"), message: "2:33: expected window or spans, not `}`"),
        .init(
            text: mask("causal {spans, window = 2}"),
            message: "2:40: expected window or spans, each once and in this order, not `window`"),
        .init(text: mask("causal {window}"), message: "2:39: expected `=`, not `}`"),
        .init(text: mask("causal {window = x}"), message: "2:42: expected an integer, not `x`"),
        .init(text: mask("segments"), message: "2:33: expected `{`, not `)`"),
        .init(text: mask("segments {keys = a}"), message: "2:35: expected `queries`, not `keys`"),
        .init(text: mask("segments {queries = a, keys = 3}"), message: "2:55: expected a name, not `3`"),
        .init(text: graph("  return %x"), message: "2:37: the graph returns f32[T, 4]"),
        .init(text: graph("  return %x\n  return %x", result: "f32[T, 4]"), message: "4:3: the graph returns twice"),
        .init(text: graph("  update %x = %x"), message: "3:10: %x is not a state of the graph"),
        .init(text: head + "graph @g() -> () {", message: "2:19: expected a statement, not the end of the text"),
    ]

    @Test(arguments: cases) func saysWhereAndWhy(_ example: Case) throws {
        let error = #expect(throws: ParseError.self) { try Parser.parse(example.text) }
        #expect(error?.description == example.message)
    }

    @Test func negativeAxesAreWrittenFromTheStart() throws {
        let text = Self.graph("  %0 = mean %x {axis = -1} : f32[T, 1]\n  return %0", result: "f32[T, 1]")
        let module = try Parser.parse(text)
        #expect(Printer.print(module).contains("mean %x {axis = 1}"))
    }

    /// Every prefix and many damaged copies of a good text are refused or read, but never trap.
    @Test(arguments: 0..<8) func noTextTraps(seed: UInt64) throws {
        let bytes = Array(try Fixture.text("every-op.vir").utf8)
        var random = Dice(seed)
        var accepted = 0
        for _ in 0..<150 {
            var damaged = bytes
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let position = Int.random(in: 0..<damaged.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: damaged[position] = UInt8.random(in: 0...255, using: &random)
                case 1: damaged.remove(at: position)
                case 2: damaged.insert(contentsOf: Array("-9999999999999".utf8), at: position)
                default: damaged.removeSubrange(position..<min(damaged.count, position + 40))
                }
                if damaged.isEmpty { damaged = [0] }
            }
            if let module = try? Parser.parse(String(decoding: damaged, as: UTF8.self)) {
                accepted += 1
                _ = try? Verifier.verify(module)
                #expect((try? Parser.parse(Printer.print(module))) == module.compacted())
            }
        }
        #expect(accepted < 150)
    }

    @Test func longChainsAreNoDeepRecursion() throws {
        var body = "  %0 = neg %x : f32[T, 4]\n"
        for index in 1..<20_000 { body += "  %\(index) = neg %\(index - 1) : f32[T, 4]\n" }
        let module = try Parser.parse(Self.graph(body))
        let editor = Editor(module.graphs[0], report: PassReport(pass: "test", version: 1))
        #expect(editor.eraseDead() == 20_000)
    }
}
