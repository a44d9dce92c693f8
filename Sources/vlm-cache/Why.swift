import ArgumentParser
import ArtifactFormat
import CommandLineSupport

struct Why: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Says in which fields of their keys two artifacts differ, and what they share.")

    @OptionGroup var options: CommonOptions
    @Argument(help: "The older artifact.") var first: String
    @Argument(help: "The newer artifact.") var second: String

    private struct Answer: Encodable {
        var differences: [ArtifactKey.Difference]
        var sharesProgram: Bool
        var sharesWeights: Bool
    }

    func run() throws {
        let store = try options.resolvedStore()
        let old = try Artifact.manifest(directory: store.find(first))
        let new = try Artifact.manifest(directory: store.find(second))
        let answer = Answer(
            differences: new.key.difference(from: old.key), sharesProgram: new.programKey == old.programKey,
            sharesWeights: new.weightsKey == old.weightsKey)
        if options.json { return try Terminal.printJSON(answer) }
        let terminal = Terminal()
        if answer.differences.isEmpty {
            print("the keys are equal")
        } else {
            var table = TextTable([("FIELD", .left), ("OLD", .left), ("NEW", .left)])
            for difference in answer.differences { table.add(difference.field, difference.old, difference.new) }
            print(table.text(terminal))
        }
        print("program: \(answer.sharesProgram ? "shared" : "own")   weights: \(answer.sharesWeights ? "shared" : "own")")
    }
}
