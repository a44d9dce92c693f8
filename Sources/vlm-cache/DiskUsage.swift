import ArgumentParser
import ArtifactFormat
import CommandLineSupport

struct DiskUsage: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "du", abstract: "Shows what the store holds; files that several parts share count once.")

    @OptionGroup var options: CommonOptions

    private struct Answer: Encodable {
        var totalBytes: Int
        var parts: [DiskUse]
    }

    func run() throws {
        let store = try options.resolvedStore()
        let parts = store.diskUse()
        let answer = Answer(totalBytes: parts.reduce(0) { $0 + $1.ownBytes }, parts: parts)
        if options.json { return try Terminal.printJSON(answer) }
        var table = TextTable([("OWN", .right), ("ALL", .right), ("PART", .left), ("MODEL", .left)])
        for part in parts {
            let name = part.path.hasPrefix(store.root + "/") ? String(part.path.dropFirst(store.root.count + 1)) : part.path
            table.add(Figures.bytes(part.ownBytes), Figures.bytes(part.bytes), name, part.model ?? "")
        }
        print(table.text(Terminal()))
        print("\(Figures.bytes(answer.totalBytes)) in \(store.root.visible())")
    }
}
