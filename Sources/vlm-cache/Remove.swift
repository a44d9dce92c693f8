import ArgumentParser
import ArtifactFormat
import Tooling

struct Remove: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rm", abstract: "Removes artifacts.",
        discussion: "Servers that have one open go on. Packed weights stay until gc.")

    @OptionGroup var options: CommonOptions
    @Argument(help: "Paths, beginnings of keys, or models' names.") var artifacts: [String]
    @Flag(help: "Say what would be removed, and remove nothing.") var dryRun = false

    func run() throws {
        let store = try options.resolvedStore()
        var paths: [String] = []
        for path in try artifacts.map({ name in try store.find(name) }) where !paths.contains(path) { paths.append(path) }
        if !dryRun {
            for path in paths { try store.remove(path) }
            store.removeEmptyDirectories()
        }
        if options.json { return try Terminal.printJSON(paths) }
        for path in paths { print("\(dryRun ? "would remove" : "removed") \(path.visible())") }
    }
}
