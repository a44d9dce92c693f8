import ArgumentParser
import ArtifactFormat
import CommandLineSupport

struct Passes: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows what each pass matched, rewrote and missed, and why.")

    @OptionGroup var options: CommonOptions
    @Argument(help: "A path, the beginning of a key, or a model's name.") var artifact: String
    @Option(name: .customLong("pass"), help: "Only this pass, with every rewrite and miss.") var name: String?
    @Option(help: "Print the lines of IR that a pass took away and put in.") var diff: String?

    func validate() throws {
        if name != nil, let diff { throw ValidationError("--diff names its pass itself, \(diff); leave --pass out") }
    }

    func run() throws {
        let opened = try options.open(artifact)
        let log = try opened.passLog()
        let records = log.reports
        if let diff { return try printDiff(of: diff, log) }
        let chosen = records.filter { name == nil || $0.pass == name }
        if let name, chosen.isEmpty { throw unknown(name, records) }
        if options.json { return try Terminal.printJSON(chosen) }
        let terminal = Terminal()
        print(overview(chosen).text(terminal))
        for record in chosen { printDetails(record, terminal, all: name != nil) }
    }

    private func overview(_ records: [PassRecord]) -> TextTable {
        var table = TextTable([
            ("PASS", .left), ("STAGE", .left), ("MATCHES", .right), ("REWRITES", .right), ("MISSES", .right),
            ("NODES", .right),
        ])
        for record in records {
            table.add(
                "\(record.pass)@\(record.version)", record.stage, "\(record.matches.values.reduce(0, &+))",
                "\(record.rewrites.count)", "\(record.missCount)", "\(record.nodesBefore) → \(record.nodesAfter)")
        }
        return table
    }

    /// Rewrites by rule and misses by rule and reason, each with its first place, or each place when `all`.
    private func printDetails(_ record: PassRecord, _ terminal: Terminal, all: Bool) {
        guard !record.rewrites.isEmpty || !record.misses.isEmpty else { return }
        print("\n" + terminal.heading(record.pass))
        let rewrites = Dictionary(grouping: record.rewrites, by: \.rule).sorted { $0.key < $1.key }
        for (rule, group) in rewrites {
            print("  \(terminal.good("rewrote")) \(group.count) × \(rule.visible())")
            for rewrite in all ? group[...] : [] { print(terminal.dim("      \(rewrite.at)")) }
        }
        let misses = Dictionary(grouping: record.misses) { "\($0.rule): \($0.reason)" }.sorted { $0.key < $1.key }
        for (reason, group) in misses {
            print("  \(terminal.bad("missed")) \(group.count) × \(reason.visible())")
            for miss in all ? group[...] : group.prefix(1) { print(terminal.dim("      at \(miss.at)")) }
        }
        if record.missCount > record.misses.count {
            print(terminal.dim("  and \(record.missCount - record.misses.count) misses more"))
        }
    }

    private func printDiff(of name: String, _ log: PassLog) throws {
        guard log.reports.contains(where: { $0.pass == name }) else { throw unknown(name, log.reports) }
        let changes = log.changes.filter { $0.pass == name }
        if options.json { return try Terminal.printJSON(changes) }
        let terminal = Terminal()
        guard !changes.isEmpty else { return StandardError.say("\(name) changed nothing") }
        for line in changes.flatMap(\.lines) {
            print(line.hasPrefix("+") ? terminal.good(line) : line.hasPrefix("-") ? terminal.bad(line) : line.visible())
        }
    }

    private func unknown(_ name: String, _ records: [PassRecord]) -> ArtifactError {
        guard !records.isEmpty else { return .refused("the artifact carries no pass report") }
        let names = records.map(\.pass)
        let meant = Spelling.closest(to: name, among: names).map { "did you mean \($0)? There are" }
        return .refused("no pass \(name); \(meant ?? "there are"): \(names.joined(separator: ", "))")
    }
}
