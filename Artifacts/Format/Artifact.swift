import Glibc
package import Plan
import Tensors

/// An opened artifact: checked, its weights mapped, its other sections read when asked for.
///
/// It stays readable while another compile replaces its directory: everything is read through the directory that was
/// opened. An open artifact holds a shared lock, so that `gc` and `rm` leave it alone. Threads may share it: it is only read.
package final class Artifact: @unchecked Sendable {
    package let path: String
    package let manifest: Manifest
    package let program: Program
    package let weights: [WeightEntry]
    /// Nil in an artifact without `inputs.json`, which answers no requests.
    private let inputs: InputSpec?
    private let reader: ArtifactReader
    let mapping: Mapping

    /// Opens and checks an artifact; the bytes of `weights.bin` are only mapped.
    ///
    /// - Parameter recordsUse: Whether this counts as a use, which `gc` honours.
    package static func open(directory path: String, recordsUse: Bool = true) throws(ArtifactError) -> Artifact {
        try ArtifactReader.read(path) { reader throws(ArtifactError) in
            if recordsUse {
                reader.directory.lockShared()
                // Who held the other kind of lock may have removed it.
                guard reader.directory.isStill(at: path) else { throw .notAnArtifact(path: path, reason: "it was removed just now") }
                _ = futimens(reader.directory.descriptor, nil)
            } else {
                _ = reader.directory.tryLock(shared: true)
            }
            for (name, section) in reader.sections {
                try reader.checkSize(name, section)
            }
            for (name, section) in reader.sections where name.isCheckedByBytes {
                _ = try reader.bytes(name, section)
            }
            return try Artifact(reader)
        }
    }

    /// Only the manifest of an artifact, checked.
    package static func manifest(directory path: String) throws(ArtifactError) -> Manifest {
        try ArtifactReader.read(path) { $0.manifest }
    }

    private init(_ reader: ArtifactReader) throws(ArtifactError) {
        path = reader.path
        manifest = reader.manifest
        self.reader = reader
        let stored = try JSONCoding.decode(
            StoredProgram.self, from: reader.bytes(.program), path: path, section: SectionName.program.path)
        guard let program = stored.program() else {
            throw .malformed(path: path, section: SectionName.program.path, reason: "an index leads nowhere")
        }
        weights = try JSONCoding.decode(
            [WeightEntry].self, from: reader.bytes(.weightTable), path: path, section: SectionName.weightTable.path)
        self.program = program
        let length = try reader.section(.weights).bytes
        if let reason = WeightEntry.misplaced(weights, fileBytes: length) {
            throw .malformed(path: path, section: SectionName.weightTable.path, reason: reason)
        }
        if let reason = program.contradiction(weights: weights) {
            throw .malformed(path: path, section: SectionName.program.path, reason: reason)
        }
        guard program.limits == manifest.key.limits, program.kv.element == manifest.key.kvElement else {
            throw .malformed(
                path: path, section: SectionName.program.path, reason: "its limits are not those of the key")
        }
        inputs = try Self.inputs(reader, program)
        mapping = try Mapping(reader.file(.weights), bytes: length)
    }

    /// `inputs.json`, which fits the program; nil where there is none.
    private static func inputs(_ reader: ArtifactReader, _ program: Program) throws(ArtifactError) -> InputSpec? {
        let name = SectionName.inputs
        guard reader.manifest.sections[name.path] != nil else { return nil }
        let inputs = try JSONCoding.decode(InputSpec.self, from: reader.bytes(name), path: reader.path, section: name.path)
        if let reason = SectionsCheck(program: program, inputs: inputs).contradiction {
            throw .malformed(path: reader.path, section: name.path, reason: reason)
        }
        return inputs
    }

    /// The packed bytes of a weight, valid only as long as somebody holds the artifact.
    ///
    /// - Precondition: `index` is an index into `weights`.
    package func weightBytes(_ index: Int) -> UnsafeRawBufferPointer {
        let entry = weights[index]
        return UnsafeRawBufferPointer(rebasing: mapping.bytes[entry.offset..<entry.offset + entry.byteCount])
    }

    /// All packed weights, page-aligned; valid only as long as somebody holds the artifact.
    package var weightBytes: UnsafeRawBufferPointer { mapping.bytes }

    /// Maps the weights' pages ahead of their use, which takes about as long as reading them.
    package func prefault() { mapping.prefault() }

    /// How requests become tokens and patches.
    package func inputSpec() throws(ArtifactError) -> InputSpec {
        guard let inputs else { throw .missingSection(path: path, section: SectionName.inputs.path) }
        return inputs
    }

    /// Whether the artifact has the section.
    package func has(_ name: SectionName) -> Bool { manifest.sections[name.path] != nil }

    /// The bytes of a section, checked against its checksum.
    package func section(_ name: SectionName) throws(ArtifactError) -> [UInt8] { try reader.bytes(name) }

    /// The IR text of one entry after one stage.
    package func ir(stage: String, entry: String) throws(ArtifactError) -> String {
        guard let name = SectionName.ir(stage: stage, entry: entry), has(name) else {
            throw .refused("\(path) has no IR of \(entry) after \(stage)")
        }
        return String(decoding: try unpacked(name), as: UTF8.self)
    }

    /// The content of a compressed section.
    package func unpacked(_ name: SectionName) throws(ArtifactError) -> [UInt8] {
        guard let content = Zstd.decompress(try section(name)) else {
            throw .malformed(path: path, section: name.path, reason: "it does not unpack")
        }
        return content
    }

    /// Stage and entry of every IR section, sorted by path.
    package var irSections: [(stage: String, entry: String)] {
        manifest.sections.keys.sorted().compactMap { SectionName(path: $0)?.irCoordinates }
    }

    /// Throws when a machine with `features` cannot run the artifact; names what is missing and how to recompile.
    package func requireRunnable(on features: Set<CPUFeature>) throws(ArtifactError) {
        let missing = manifest.key.target.features.subtracting(features)
        guard missing.isEmpty else {
            throw .otherTarget(
                path: path, target: manifest.key.target, missing: missing.sorted(), best: .best(for: features))
        }
    }

    /// Reads every section and compares checksums; returns the sections that fail, each with its error.
    ///
    /// - Parameter progress: Called with each section's name before it is read.
    package static func verify(
        directory path: String, progress: (SectionName) -> Void = { _ in }
    ) throws(ArtifactError) -> [ArtifactError] {
        try ArtifactReader.read(path) { reader in
            var failures: [ArtifactError] = []
            for (name, section) in reader.sections {
                progress(name)
                do throws(ArtifactError) {
                    try reader.checkSize(name, section)
                    try reader.checkDigest(name, section)
                } catch {
                    failures.append(error)
                }
            }
            return failures
        }
    }
}

extension WeightEntry {
    /// Weights begin at multiples of this.
    package static let alignment = 4096

    /// The first entry that does not lie in a `weights.bin` of `fileBytes` behind those before it, in words; nil when all do, and the
    /// file ends with the last.
    static func misplaced(_ entries: [WeightEntry], fileBytes: Int) -> String? {
        var end = 0
        for entry in entries {
            let fits = entry.offset >= 0 && entry.byteCount > 0 && entry.offset <= fileBytes
                && entry.byteCount <= fileBytes - entry.offset
            guard fits else { return "weight \(entry.name) does not lie in weights.bin" }
            guard entry.offset % alignment == 0 else { return "weight \(entry.name) is not page-aligned" }
            guard entry.offset >= end, entry.offset - end < alignment else {
                return "weight \(entry.name) at \(entry.offset) does not follow what ends at \(end)"
            }
            end = entry.offset + entry.byteCount
        }
        guard fileBytes - end < alignment else { return "weights.bin goes on behind the last weight" }
        return nil
    }
}

/// A read-only, shared mapping of a file.
final class Mapping {
    let bytes: UnsafeRawBufferPointer
    let file: OpenFile

    init(_ file: OpenFile, bytes count: Int) throws(ArtifactError) {
        self.file = file
        guard count > 0 else {
            bytes = UnsafeRawBufferPointer(start: nil, count: 0)
            return
        }
        guard Int(try file.status().st_size) >= count else {
            throw .system(operation: "map", path: file.path, reason: "it is too short")
        }
        guard let base = mmap(nil, count, PROT_READ, MAP_SHARED, file.descriptor, 0), base != MAP_FAILED else {
            throw .errno("map", file.path)
        }
        bytes = UnsafeRawBufferPointer(start: base, count: count)
    }

    /// Maps every page; in pieces, since other changes of the process's mappings wait for each.
    func prefault() {
        let piece = 8 << 20
        for offset in stride(from: 0, to: bytes.count, by: piece) {
            let base = bytes.baseAddress.map { UnsafeMutableRawPointer(mutating: $0 + offset) }
            guard madvise(base, min(piece, bytes.count - offset), MADV_POPULATE_READ) == 0 else { return }
        }
    }

    deinit {
        if let base = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: base), bytes.count) }
    }
}
