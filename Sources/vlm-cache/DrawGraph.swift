import ArgumentParser
import ArtifactFormat
import CommandLineSupport

struct DrawGraph: ParsableCommand {
    enum Format: String, ExpressibleByArgument, CaseIterable { case text, dot, svg }

    static let configuration = CommandConfiguration(
        commandName: "graph", abstract: "Prints the IR of an entry after a stage, as text or as a drawing.")

    @OptionGroup var options: CommonOptions
    @Argument(help: "A path, the beginning of a key, or a model's name.") var artifact: String
    @Option(help: "vision, extend, decode or decode.GEAR; all entries of the stage when left out (text only).")
    var entry: String?
    @Option(help: "traced, canonical, fused, specialized, selected, packed or planned; the last one when left out.")
    var stage: String?
    @Option(help: "text, dot or svg.") var format = Format.text

    /// Most bytes of IR that are printed at once, and that are drawn.
    private static let (bytesMax, drawnBytesMax) = (256 << 20, 8 << 20)

    private struct Section: Encodable {
        var stage: String
        var entry: String
        var text: String
    }

    func run() throws {
        let opened = try options.open(artifact)
        let chosen = try chooseSections(opened)
        var sections: [Section] = []
        var count = 0
        for (stage, entry) in chosen {
            let text = try opened.ir(stage: stage, entry: entry)
            count += text.utf8.count
            guard count <= Self.bytesMax else {
                throw ArtifactError.refused("the stage \(stage) has more than \(Self.bytesMax >> 20) MiB of text; choose one with --entry")
            }
            guard format == .text || text.utf8.count <= Self.drawnBytesMax else {
                throw ArtifactError.refused(
                    "\(entry) after \(stage) has more than \(Self.drawnBytesMax >> 20) MiB; print it with --format text")
            }
            sections.append(Section(stage: stage, entry: entry, text: drawing(of: text)))
        }
        if options.json { return try Terminal.printJSON(sections) }
        print(sections.map(\.text).joined(separator: "\n").visible(keeping: ["\n", "\t"]), terminator: "")
    }

    private func drawing(of text: String) -> String {
        switch format {
        case .text: text
        case .dot: GraphOutline(text: text).dot()
        case .svg: GraphOutline(text: text).svg()
        }
    }

    private func chooseSections(_ opened: Artifact) throws -> [(stage: String, entry: String)] {
        let all = opened.irSections
        guard !all.isEmpty else { throw ArtifactError.refused("\(opened.path) carries no IR") }
        let stages = all.map(\.stage)
        let order = ["traced", "canonical", "fused", "specialized", "selected", "packed", "planned"]
        guard let stage = stage ?? order.last(where: stages.contains) ?? stages.last, stages.contains(stage) else {
            throw ArtifactError.refused("no stage \(self.stage ?? ""); there are: \(distinct(stages))")
        }
        let there = all.filter { $0.stage == stage }
        let chosen = there.filter { entry == nil || $0.entry == entry }
        guard !chosen.isEmpty else {
            throw ArtifactError.refused("no entry \(entry ?? "") after \(stage); there are: \(distinct(there.map(\.entry)))")
        }
        guard format == .text || chosen.count == 1 else {
            throw ArtifactError.refused("a drawing shows one entry; choose with --entry: \(distinct(there.map(\.entry)))")
        }
        return chosen
    }

    private func distinct(_ names: [String]) -> String { Set(names).sorted().joined(separator: ", ") }
}
