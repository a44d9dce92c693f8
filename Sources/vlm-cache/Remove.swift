import ArgumentParser
import ArtifactFormat
import CommandLineSupport

struct Remove: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rm", abstract: "Removes artifacts.",
        discussion: """
            A name that several artifacts have removes none of them without --all, and nothing is removed while a server or another \
            process has one of those named open, unless --force is given: a server goes on with what it has. Packed weights stay \
            until gc.
            """)

    @OptionGroup var options: CommonOptions
    @Argument(help: "Paths, beginnings of keys, or models' names.") var artifacts: [String]
    @Flag(help: "Remove every artifact of a name that several have.") var all = false
    @Flag(help: "Remove also what a process has open.") var force = false
    @Flag(help: "Say what would be removed, and remove nothing.") var dryRun = false

    func run() throws {
        let store = try options.resolvedStore()
        var paths: [String] = []
        for name in artifacts {
            let found = try store.findAll(name)
            guard found.count == 1 || all else { throw ArtifactError.refused("\(store.ambiguous(name, found))\n--all removes them all") }
            for path in found where !paths.contains(path) { paths.append(path) }
        }
        do throws(ArtifactError) {
            try store.remove(paths, force: force, dryRun: dryRun)
        } catch {
            guard case .inUse = error else { throw error }
            throw ArtifactError.refused("\(error); nothing was removed, --force removes it all the same")
        }
        if !dryRun { store.removeEmptyDirectories() }
        if options.json { return try Terminal.printJSON(paths) }
        for path in paths { print("\(dryRun ? "would remove" : "removed") \(path.visible())") }
    }
}
