import ArgumentParser
import ArtifactFormat
import CommandLineSupport

struct ShowPlan: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan", abstract: "Prints the steps of an entry with their slots, offsets and lifetimes.")

    @OptionGroup var options: CommonOptions
    @Argument(help: "A path, the beginning of a key, or a model's name.") var artifact: String
    @Option(help: "vision, extend or decode.GEAR; every entry when left out.") var entry: String?

    func run() throws {
        let opened = try options.open(artifact)
        let listings = opened.planListings(entry: entry)
        guard !listings.isEmpty else {
            throw ArtifactError.refused("no entry \(entry ?? ""); there are: \(opened.entryNames.joined(separator: ", "))")
        }
        if options.json { return try Terminal.printJSON(listings) }
        print(listings.map { text($0, Terminal()) }.joined(separator: "\n\n"))
    }

    private func text(_ listing: PlanListing, _ terminal: Terminal) -> String {
        let bounds = listing.bounds.sorted { $0.key < $1.key }.map { "\($0.key) ≤ \($0.value)" }.joined(separator: ", ")
        let head =
            "\(terminal.heading(listing.entry))  \(listing.steps.count) steps, arena "
            + "\(Figures.bytes(listing.arenaBytes)) of \(Figures.bytes(listing.unsharedBytes)) unshared; \(bounds)"
        var table = TextTable([
            ("STEP", .right), ("KERNEL", .left), ("READS", .left), ("WRITES", .left), ("LIVES UNTIL", .right),
            ("ORIGIN", .left),
        ])
        for step in listing.steps {
            for row in 0..<max(1, step.inputs.count, step.outputs.count) {
                let input = row < step.inputs.count ? step.inputs[row] : nil
                let output = row < step.outputs.count ? step.outputs[row] : nil
                table.add(
                    row == 0 ? "\(step.index)" : "", row == 0 ? step.kernel : "",
                    input.map { "\($0.place)  \($0.type)" } ?? "", output.map { "\($0.place)  \($0.type)" } ?? "",
                    output?.livesUntil.map(String.init) ?? "", row == 0 ? step.origin : "")
            }
        }
        let fallbacks = listing.fallbacks.isEmpty ? "" : Figures.fallbacks(listing.fallbacks, of: listing.steps.count) + "\n"
        return head + "\n" + fallbacks + table.text(terminal)
    }
}
