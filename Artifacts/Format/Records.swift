import Glibc

extension Store {
    /// Kinds of small facts that the store remembers.
    package enum RecordKind: String, Sendable, CaseIterable {
        /// Digests of checkpoint files.
        case digests
        /// Measured rates of a machine.
        case machines
        /// Files of packed weights whose sums held.
        case sums
        /// What calibrations found, which `Compiler` writes.
        case calibrations
    }

    /// The directory of a kind's records.
    package func recordsPath(_ kind: RecordKind) -> String { "\(recordsPath)/\(kind.rawValue)" }

    /// A remembered fact; nil when there is none. The caller judges whether it still makes sense.
    package func record(_ kind: RecordKind, _ name: String) -> [UInt8]? {
        try? OpenFile.reading(recordPath(kind, name))?.readAll()
    }

    /// Remembers a fact; a reader sees either the old or the new one whole.
    package func setRecord(_ kind: RecordKind, _ name: String, _ bytes: [UInt8]) throws(ArtifactError) {
        try Unfinished.creating { () throws(ArtifactError) in try write(bytes, to: recordPath(kind, name), in: recordsPath(kind)) }
    }

    private func write(_ bytes: [UInt8], to path: String, in directory: String) throws(ArtifactError) {
        try create(directory)
        let temporary = "\(path).\(getpid()).tmp"
        do throws(ArtifactError) {
            let file = try OpenFile.create(temporary)
            try file.write(bytes)
            try file.sync()
            guard rename(temporary, path) == 0 else { throw .errno("create", path) }
        } catch {
            unlink(temporary)
            throw error
        }
    }

    private func recordPath(_ kind: RecordKind, _ name: String) -> String {
        let safe = name.utf8.allSatisfy { $0 > 32 && $0 < 127 && $0 != UInt8(ascii: "/") } && name.utf8.count < 128
        return "\(recordsPath)/\(kind.rawValue)/\(safe ? name : Digest.of(Array(name.utf8)))"
    }
}
