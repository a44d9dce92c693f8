import ArgumentParser
import ArtifactFormat
import CommandLineSupport

struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "Lists the artifacts of the store, the latest used first.")

    @OptionGroup var options: CommonOptions

    func run() throws {
        let store = try options.resolvedStore()
        try store.requireReadable()
        let lines = store.listing()
        for (_, error) in store.unreadable() { StandardError.say("warning: \(error)") }
        if options.json { return try Terminal.printJSON(lines) }
        guard !lines.isEmpty else { return StandardError.say("no artifacts in \(store.root); make one with vlmc compile DIR") }
        var table = TextTable([
            ("KEY", .left), ("MODEL", .left), ("TARGET", .left), ("PRECISION", .left), ("CHOICES", .left), ("GEARS", .left),
            ("SIZE", .right), ("LAST USED", .right),
        ])
        for line in lines {
            table.add(
                String(line.key.prefix(12)), line.names.joined(separator: ", "), line.target, line.precision, line.choices.isEmpty ? "-" : line.choices.joined(separator: ","),
                line.gears.map(String.init).joined(separator: ","), Figures.bytes(line.bytes),
                Figures.age(since: line.lastUsed))
        }
        print(table.text(Terminal()))
    }
}
