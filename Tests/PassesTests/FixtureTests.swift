import Foundation
import IR
import Passes
import Plan
import Reference
import Testing

/// Every pass on small modules, as text.
@Suite struct FixtureTests {
    @Test(arguments: PassFixture.all)
    func isAsExpected(_ fixture: PassFixture) throws {
        var cases = try fixture.cases()
        for index in cases.indices {
            let title = "\(fixture.name): \(cases[index].title)"
            let pass = try #require(cases[index].pass(fixture.pass), "there is no pass \(fixture.pass)")
            let made = try cases[index].run(pass)
            if PassFixture.blesses {
                cases[index].before = Printer.print(try Parser.parse(cases[index].before))
                cases[index].after = made.text
            }
            #expect(made.text == cases[index].after, "\(title); VLM_BLESS=1 writes the expectation")
            if let (before, after) = made.modules { try check(before, after, pass, title) }
        }
        if PassFixture.blesses { try fixture.write(cases) }
    }

    /// Both sides are well formed, read back from their text, settled and equal in numbers.
    private func check(_ before: Module, _ after: Module, _ pass: Pass, _ title: String) throws {
        for module in [before, after] {
            try Verifier.verify(module)
            #expect(try Parser.parse(Printer.print(module)) == module.compacted(), "round trip of \(title)")
        }
        var again = after
        try pass.run(on: &again)
        #expect(Printer.print(again) == Printer.print(after), "\(title) changes when the pass runs again")
        for graph in after.graphs {
            let expected = try SeededValues(before).run(graph)
            for (ours, theirs) in zip(try SeededValues(after).run(graph), expected) {
                #expect(ours.shape == theirs.shape, "\(title)")
                let scale = theirs.floats.reduce(1) { $1.isFinite ? max($0, abs($1)) : $0 }
                let isClose = zip(ours.floats, theirs.floats).allSatisfy { $0 == $1 || abs($0 - $1) <= 1e-5 * scale }
                #expect(isClose, "\(title): \(ours.floats) instead of \(theirs.floats)")
            }
        }
    }

    /// Each pass has cases that it takes and cases that it leaves or refuses.
    @Test(arguments: TracedModel.pipeline.passes.map(\.name))
    func coversThePass(name: String) throws {
        let fixture = try #require(PassFixture.all.first { $0.pass == name }, "no fixture for \(name)")
        let changes = try fixture.cases().map { item -> Bool in
            guard let pass = item.pass(name), let modules = try item.run(pass).modules else { return false }
            return modules.before.compacted().graphs != modules.after.compacted().graphs
        }
        #expect(changes.first == true, "the first case of \(fixture.name) is the example of the doc comment")
        #expect(changes.contains(false), "\(fixture.name) has no case that the pass leaves alone")
    }
}
