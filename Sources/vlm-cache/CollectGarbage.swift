import ArgumentParser
import ArtifactFormat
import CommandLineSupport

struct CollectGarbage: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gc", abstract: "Removes old artifacts, weights nobody refers to, and what dead processes left.",
        discussion: "Without limits no artifact is removed. Artifacts in use stay.")

    @OptionGroup var options: CommonOptions
    @Option(help: ArgumentHelp("Keep the N artifacts used last.", valueName: "n")) var keepLast: Int?
    @Option(help: ArgumentHelp("Remove until the store holds at most B bytes (suffixes \(Size.suffixes)).", valueName: "b"))
    var maxBytes: Size?
    @Flag(help: "Say what would be removed, and remove nothing.") var dryRun = false

    private struct Answer: Encodable {
        var dryRun: Bool
        var freedBytes: Int
        var cleanup: StoreCleanup
    }

    func validate() throws {
        if let keepLast, keepLast < 0 { throw ValidationError("--keep-last \(keepLast) must be at least 0") }
    }

    func run() throws {
        let store = try options.resolvedStore()
        let cleanup = try store.collect(keepLast: keepLast, maxBytes: maxBytes?.value, dryRun: dryRun)
        for path in cleanup.inUse { StandardError.say("in use, kept: \(path)") }
        if options.json {
            return try Terminal.printJSON(Answer(dryRun: dryRun, freedBytes: cleanup.freedBytes, cleanup: cleanup))
        }
        for removal in cleanup.removed {
            print("\(dryRun ? "would remove" : "removed") \(removal.path.visible())  (\(removal.reason.visible()))")
        }
        print("\(dryRun ? "would free" : "freed") \(Figures.bytes(cleanup.freedBytes))")
    }
}
