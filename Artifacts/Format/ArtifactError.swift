package import Plan

/// Why an artifact or the store cannot be read or written.
package enum ArtifactError: Error, Sendable, CustomStringConvertible {
    /// The path does not lead to an artifact.
    case notAnArtifact(path: String, reason: String)
    /// The path leads to a model that is not compiled yet.
    case modelDirectory(path: String)
    /// The artifact was written in a format this tool does not read.
    case otherFormat(path: String, found: Int, supported: Int)
    /// A section of the manifest has no file.
    case missingSection(path: String, section: String)
    /// A section's file has another length than the manifest says.
    case wrongSize(path: String, section: String, expected: Int, found: Int)
    /// A section's bytes do not have the recorded checksum.
    case damaged(path: String, section: String)
    /// A section can be read, but what it says contradicts itself.
    case malformed(path: String, section: String, reason: String)
    /// This machine lacks features that the artifact's target needs.
    case otherTarget(path: String, target: Target, missing: [CPUFeature], best: Target)
    /// No artifact in the store answers to the name.
    case notFound(name: String, store: String)
    /// Several artifacts answer to the name.
    case ambiguous(name: String, matches: [String])
    /// Other processes have the artifact open: these, as far as they are known.
    case inUse(path: String, processes: [Int])
    /// Somebody else may have written what lies there.
    case untrusted(path: String, reason: String)
    /// The disk, a quota or a file size limit is exhausted.
    case diskFull(path: String)
    /// A writer or a store was used in a way that cannot be carried out.
    case refused(String)
    /// The operating system refused an operation.
    case system(operation: String, path: String, reason: String)

    package var description: String {
        switch self {
        case .missingSection, .wrongSize, .damaged, .malformed: "\(fact); rebuild it with vlmc compile MODEL_DIR --force"
        default: fact
        }
    }

    /// What is wrong, for damaged artifacts without what to do about it.
    package var fact: String {
        switch self {
        case .notAnArtifact(let path, let reason):
            "\(path) is not an artifact: \(reason); make one with vlmc compile"
        case .modelDirectory(let path):
            "\(path) is a model directory, not an artifact; compile it first: vlmc compile \(path)"
        case .otherFormat(let path, let found, let supported) where found > supported:
            "\(path) has artifact format \(found), this tool reads format \(supported): "
                + "use a newer release or recompile with this vlmc"
        case .otherFormat(let path, let found, let supported):
            "\(path) has artifact format \(found), this tool reads format \(supported): recompile it with vlmc compile"
        case .missingSection(let path, let section):
            "\(path): section \(section) is missing"
        case .wrongSize(let path, let section, let expected, let found) where found < expected:
            "\(path): section \(section) is truncated: \(found) of \(expected) bytes"
        case .wrongSize(let path, let section, let expected, let found):
            "\(path): section \(section) has \(found) bytes instead of \(expected)"
        case .damaged(let path, let section):
            "\(path): section \(section) is damaged: its SHA-256 differs from the recorded one"
        case .malformed(let path, let section, let reason):
            "\(path): section \(section) is malformed: \(reason)"
        case .otherTarget(let path, let target, let missing, let best):
            "\(path) was compiled for \(target.rawValue), but this machine has no "
                + missing.map(\.rawValue).joined(separator: ", ")
                + "; recompile the model with: vlmc compile --target \(best.rawValue) DIR"
        case .notFound(let name, let store):
            name.isEmpty ? "the artifact's name is empty; vlm-cache ls lists what is there" : "no artifact \(name) in \(store); vlm-cache ls lists what is there"
        case .ambiguous(let name, let matches):
            Self.listed("\(name) means several artifacts; give the beginning of a key:", matches)
        case .inUse(let path, let processes):
            "\(path) is in use by " + (processes.isEmpty ? "another process" : "process " + processes.map(String.init).joined(separator: ", "))
        case .untrusted(let path, let reason):
            "\(path) \(reason), so that nothing there is used; take it over (chown, chmod go-w), choose another store, or allow it with "
                + "--trust-store or VLM_TRUST_STORE=1"
        case .diskFull(let path):
            "no space left to write \(path); free some (vlm-cache gc) or choose another --store"
        case .refused(let reason):
            reason
        case .system(let operation, let path, let reason):
            "cannot \(operation) \(path): \(reason)"
        }
    }

    /// The most names that a message lists.
    private static let listedMax = 12

    private static func listed(_ head: String, _ names: [String]) -> String {
        let rest = names.count - listedMax
        return ([head] + names.prefix(listedMax).map { "  \($0)" } + (rest > 0 ? ["  and \(rest) more"] : [])).joined(separator: "\n")
    }
}
