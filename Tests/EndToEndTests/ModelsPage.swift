import Foundation
import Models

/// What `docs/models.md` is made of: one record of each kind, as the programs find it.
struct ModelsPage {
    /// A directory with what transformers recorded, examined, compiled in exact precision and compared.
    struct Record {
        let name: String
        let diagnosis: Diagnosis
        /// What `vlmc parity` says, by what was compared; empty where nothing was.
        let comparisons: [(what: String, difference: String, isMissed: Bool)]
        /// Why it does not compile; nil where it does.
        let refusal: String?

        var isEqual: Bool { !comparisons.isEmpty && comparisons.allSatisfy { !$0.isMissed } }
    }

    /// What is taken from `vlmc doctor --json`.
    struct Diagnosis: Decodable {
        struct Part: Decodable { var type: String? }
        struct Weights: Decodable { var elements: [String: Int] }
        var family: String?
        var architectures: [String]
        var decoder: Part?
        var vision: Part?
        var quantization: String?
        var weights: Weights?
    }

    let records: [Record]

    /// Compiles and compares what lies in these directories.
    init(_ directories: [URL]) throws {
        records = try directories.map(Record.init)
    }

    var text: String {
        """
        # Models

        Tiny models of random weights, each with what `transformers` 5.23 computed for a prompt, compiled in exact precision and compared by
        `vlmc parity`: token ids and greedy tokens must be the same, pixels within 1e-5, features and logits within 1e-3. Numbers are the
        largest absolute differences of the last run. `make models-page` writes this page and the README's table again.

        ## Families

        \(families.joined(separator: "\n"))

        ## Records

        A record is a directory of `Tests/Families/Fixtures`: a family in one of its layouts of configuration, names and weights. *refused*
        says what is not supported.

        \(table.joined(separator: "\n"))

        """
    }

    /// The lines of the table of families, in the order of `Architectures`; what is recorded and unknown comes last.
    var families: [String] {
        var lines = ["| family | `architectures` in config.json | equal to transformers | features | logits |", "|---|---|---|---|---|"]
        for family in Architectures.all {
            let own = records.filter { $0.diagnosis.family == family.title }
            let equal = own.filter(\.isEqual)
            let verdict = own.isEmpty ? "not recorded" : "\(equal.count) of \(own.count) records"
            let names = family.architectures.map { "`\($0)`" }.joined(separator: ", ")
            lines.append("| \(family.title) | \(names) | \(verdict) | \(Self.worst(equal, "features")) | \(Self.worst(equal, "logits")) |")
        }
        let unknown = Set(records.filter { $0.diagnosis.family == nil }.flatMap { $0.diagnosis.architectures }).sorted()
        if !unknown.isEmpty { lines.append("| not supported | \(unknown.map { "`\($0)`" }.joined(separator: ", ")) | refused | | |") }
        return lines
    }

    private var table: [String] {
        let columns = ["pixel values", "image features", "prefill logits", "step logits"]
        let order = Architectures.all.map { $0.title }
        let sorted = records.sorted { first, second in
            func place(_ record: Record) -> Int { record.diagnosis.family.flatMap { order.firstIndex(of: $0) } ?? order.count }
            return (place(first), first.name) < (place(second), second.name)
        }
        return ["| family | record | decoder | tower | weights | pixels | features | prefill | steps | tokens |", "|---|---|---|---|---|---|---|---|---|---|"]
            + sorted.map { record in
                let diagnosis = record.diagnosis
                let weights = diagnosis.quantization ?? diagnosis.weights.map { $0.elements.keys.sorted().joined(separator: ", ") } ?? ""
                var cells = [diagnosis.family ?? "", record.name, diagnosis.decoder?.type ?? "", diagnosis.vision?.type ?? "", weights]
                if let refusal = record.refusal {
                    cells.append("refused: \(refusal)")
                } else {
                    cells += columns.map { column in record.comparisons.first { $0.what == column }.map { $0.difference } ?? "" }
                    let missed = record.comparisons.filter(\.isMissed).map(\.what)
                    cells.append(missed.isEmpty ? "equal" : "missed: \(missed.joined(separator: ", "))")
                }
                return "| \(cells.joined(separator: " | ")) |" + String(repeating: " |", count: 10 - cells.count)
            }
    }

    /// The largest difference of what the word names in some records.
    private static func worst(_ records: [Record], _ word: String) -> String {
        let all = records.flatMap(\.comparisons).filter { $0.what.hasSuffix(word) }
        return all.max { (Double($0.difference) ?? 0) < (Double($1.difference) ?? 0) }?.difference ?? ""
    }
}

extension ModelsPage.Record {
    fileprivate init(_ directory: URL) throws {
        let space = try Workspace()
        name = directory.lastPathComponent
        let machine = space.path("machine.json")
        try Data(#"{"processor": "any", "features": [], "rates": {"read GB/s": 10, "f32 GFLOP/s": 50}}"#.utf8).write(to: URL(filePath: machine))
        let doctor = try space.vlmc("doctor", directory.path, "--json", "--machine", machine, "--target", "cpu")
        diagnosis = try JSONDecoder().decode(ModelsPage.Diagnosis.self, from: Data(doctor.output.utf8))
        let compiled = try space.vlmc("compile", directory.path, "--precision", "exact")
        guard compiled.status == 0 else {
            refusal = Self.reason(compiled.errors)
            comparisons = []
            return
        }
        refusal = nil
        let artifact = compiled.output.trimmingCharacters(in: .newlines)
        let parity = try space.vlmc("parity", artifact, "--reference", directory.path)
        comparisons = parity.output.split(separator: "\n").dropFirst().map { line in
            let what = line.prefix(16).trimmingCharacters(in: .whitespaces)
            return (what, line.dropFirst(16).split(separator: " ").first.map(String.init) ?? "", line.contains("MISSED"))
        }
    }

    /// The sentence of a message, without its place and without lists of what is known.
    private static func reason(_ message: String) -> String {
        let line = message.split(separator: "\n").last { $0.hasPrefix("error: ") } ?? ""
        let sentence = line.split(separator: ": ", omittingEmptySubsequences: false).dropFirst(2).joined(separator: ": ")
        return String(sentence.prefix { $0 != ";" }).replacing("|", with: "\\|")
    }
}
