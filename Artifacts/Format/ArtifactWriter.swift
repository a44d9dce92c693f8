import Dispatch
import Glibc
package import Plan

/// Writes one artifact into a temporary directory and publishes it by a rename; an unfinished one disappears.
///
/// Each section is written once. Weights come either from the store (`useStoredWeights`) or one after another
/// (`appendWeight`, or `beginWeight`, `append`, `endWeight` for large ones).
package final class ArtifactWriter {
    private let store: Store
    private let key: ArtifactKey
    private let destination: String
    private let temporary: TemporaryDirectory
    private let createdParents: [String]
    private let unfinished: Unfinished
    private var sections: [String: Manifest.Section] = [:]
    private var weights: [WeightEntry] = []
    private var weightsFile: WeightsFile?
    /// Of the weight begun last.
    private var lineSum = LineSum()
    private var usesStoredWeights = false
    private var isFinished = false

    /// Begins an artifact in the store, or at `output`.
    ///
    /// - Throws: `refused` when `output` exists and is neither an artifact nor an empty directory.
    package init(store: Store, key: ArtifactKey, output: String? = nil) throws(ArtifactError) {
        self.store = store
        self.key = key
        if let output {
            try Self.checkReplaceable(output)
            destination = output
            let parent = Directories.parent(of: output) ?? "."
            (createdParents, unfinished) = try Unfinished.creating { () throws(ArtifactError) in
                let created = try Directories.create(parent)
                return (created, Unfinished { for path in created.reversed() { rmdir(path) } })
            }
            temporary = try TemporaryDirectory(in: parent, prefix: ".\(Directories.name(of: output)).vlm-")
        } else {
            destination = store.path(of: key)
            (createdParents, unfinished) = try Unfinished.creating { () throws(ArtifactError) in
                (try store.create(store.artifactsPath), Unfinished { store.removeEmptyDirectories() })
            }
            temporary = try TemporaryDirectory(in: store.temporaryPath, prefix: Store.temporaryPrefix)
        }
    }

    deinit { cancel() }

    private static func checkReplaceable(_ path: String) throws(ArtifactError) {
        guard Directories.exists(path) else { return }
        let names = Directories.names(in: path)
        guard (try? OpenFile.directory(path)) != nil, names.isEmpty || ArtifactReader.isArtifact(path) else {
            throw .refused("\(path) exists and is not an artifact; choose another -o or remove it")
        }
        if let foreign = names.first(where: { !SectionName.isKnown($0) }) {
            throw .refused("\(path) holds \(foreign), which is no part of an artifact; choose another -o or move it away")
        }
    }

    /// Writes a section.
    package func write(_ name: SectionName, _ bytes: [UInt8]) throws(ArtifactError) {
        guard sections[name.path] == nil else { throw .refused("section \(name) is written twice") }
        guard bytes.count <= name.bytesMax else {
            throw .refused("section \(name) would have \(bytes.count) bytes, more than the \(name.bytesMax) that are read")
        }
        let path = "\(temporary.path)/\(name.path)"
        if name.path.contains("/"), let parent = Directories.parent(of: path) {
            try Unfinished.creating { () throws(ArtifactError) in _ = try Directories.create(parent) }
        }
        let file = try OpenFile.create(path)
        try file.write(bytes)
        try file.sync()
        sections[name.path] = Manifest.Section(bytes: bytes.count, sha256: Digest.of(bytes))
    }

    /// Writes a section that readers unpack with `Artifact.unpacked`; its name ends in `.zst`.
    package func writeCompressed(_ name: SectionName, _ content: [UInt8]) throws(ArtifactError) {
        guard content.count <= Zstd.largestText else {
            throw .refused("section \(name) would hold \(content.count) bytes, more than the \(Zstd.largestText) that are read")
        }
        try write(name, Zstd.compress(content))
    }

    /// Writes the IR of one entry after one stage, compressed.
    ///
    /// - Throws: `refused` when the names are not words of letters, digits, `.`, `-` and `_`.
    package func writeIR(stage: String, entry: String, text: String) throws(ArtifactError) {
        guard let name = SectionName.ir(stage: stage, entry: entry) else {
            throw .refused("\(stage).\(entry) is no name for an IR section")
        }
        try writeCompressed(name, Array(text.utf8))
    }

    /// Takes packed weights that the store has under `weightsKey` without copying them where the disk allows.
    ///
    /// - Returns: Their table; nil when the store has none or they are damaged, and then they must be appended.
    package func useStoredWeights(_ weightsKey: String) throws(ArtifactError) -> [WeightEntry]? {
        guard weightsFile == nil, let stored = store.storedWeights(weightsKey), stored.areIntact else { return nil }
        let path = "\(temporary.path)/\(SectionName.weights.path)"
        if link(stored.dataPath, path) != 0 {
            guard errno == EXDEV || errno == EPERM || errno == EMLINK || errno == ENOENT else {
                throw .errno("link", path)
            }
            guard try copy(stored, to: path) else { return nil }
        }
        weights = stored.entries
        sections[SectionName.weights.path] = stored.section
        usesStoredWeights = true
        return weights
    }

    private func copy(_ stored: StoredWeights, to path: String) throws(ArtifactError) -> Bool {
        guard let source = try OpenFile.reading(stored.dataPath) else { return false }
        let target = try OpenFile.create(path)
        var offset = 0
        while offset < stored.section.bytes {
            let count = min(8 << 20, stored.section.bytes - offset)
            guard let piece = try source.read(at: offset, count: count) else { return false }
            try target.write(piece)
            offset += count
        }
        try target.sync()
        return true
    }

    /// Begins the next weight; its bytes follow by `append`.
    package func beginWeight(
        name: String, layout: WeightLayout, shape: [Int], key: String, sources: [String]
    ) throws(ArtifactError) {
        guard !usesStoredWeights else { throw .refused("weights are taken from the store already") }
        let file = try openWeights()
        let offset = try file.align(to: WeightEntry.alignment)
        lineSum = LineSum()
        weights.append(
            WeightEntry(
                name: name, layout: layout, shape: shape, offset: offset, byteCount: 0, key: key, sources: sources))
    }

    private func openWeights() throws(ArtifactError) -> WeightsFile {
        if let weightsFile { return weightsFile }
        let file = try WeightsFile(path: "\(temporary.path)/\(SectionName.weights.path)")
        weightsFile = file
        return file
    }

    /// Adds bytes to the weight begun last.
    ///
    /// - Precondition: A weight was begun.
    package func append(_ bytes: UnsafeRawBufferPointer) throws(ArtifactError) {
        precondition(!weights.isEmpty)
        try openWeights().append(bytes)
        lineSum.update(bytes)
        weights[weights.count - 1].byteCount += bytes.count
        weights[weights.count - 1].sum = lineSum.value
    }

    /// Writes a whole weight and returns its index.
    @discardableResult
    package func appendWeight(
        name: String, layout: WeightLayout, shape: [Int], key: String, sources: [String],
        bytes: UnsafeRawBufferPointer
    ) throws(ArtifactError) -> Int {
        try beginWeight(name: name, layout: layout, shape: shape, key: key, sources: sources)
        try append(bytes)
        return weights.count - 1
    }

    /// Writes a weight whose packed bytes another artifact already has, and returns its index.
    @discardableResult
    package func appendWeight(
        name: String, sources: [String], copying reusable: ReusableWeight
    ) throws(ArtifactError) -> Int {
        let entry = reusable.entry
        try beginWeight(name: name, layout: entry.layout, shape: entry.shape, key: entry.key, sources: sources)
        try reusable.forEachPiece { piece throws(ArtifactError) in
            try piece.withUnsafeBytes { bytes in Result { () throws(ArtifactError) in try append(bytes) } }.get()
        }
        return weights.count - 1
    }

    /// The table as far as it is written.
    package var weightTable: [WeightEntry] { weights }

    /// Writes program, weight table and manifest, makes all of it durable and publishes it.
    ///
    /// - Parameter golden: Runs the artifact, complete but not yet published, and returns its self-test.
    /// - Returns: The artifact's path.
    package func finish(
        program: Program, provenance: Manifest.Provenance, tuning: Manifest.Tuning,
        golden: ((Artifact) throws(ArtifactError) -> Golden)? = nil
    ) throws(ArtifactError) -> String {
        if let reason = program.contradiction(weights: weights) {
            throw .refused("the compiled program contradicts itself: \(reason)")
        }
        let weightsKey = ArtifactKey.weightsKey(entryKeys: weights.map(\.key))
        if !usesStoredWeights { sections[SectionName.weights.path] = try openWeights().finish() }
        let table = try JSONCoding.encode(weights)
        try write(.weightTable, table)
        try write(.program, JSONCoding.encode(StoredProgram(program)))
        func writeManifest() throws(ArtifactError) {
            let manifest = Manifest(
                key: key, weightsKey: weightsKey, provenance: provenance, tuning: tuning, sections: sections)
            let bytes = try JSONCoding.encode(manifest, pretty: true)
            try writeFile(ArtifactReader.manifestName, bytes)
            try writeFile(ArtifactReader.checksumName, ArtifactReader.checksumLine(bytes))
        }
        try writeManifest()
        // What a reader would refuse is not published.
        let written = try Artifact.open(directory: temporary.path, recordsUse: false)
        if let golden {
            try write(golden(written))
            try writeManifest()
        }
        let irPath = "\(temporary.path)/ir"
        if Directories.exists(irPath) { try Directories.sync(irPath) }
        if !usesStoredWeights, let section = sections[SectionName.weights.path] {
            try store.shareWeights(weightsKey, of: temporary.path, table: table, section: section)
            try temporary.publish(as: destination)
            store.relinkWeights(weightsKey, section, sharedBy: destination)
        } else {
            try temporary.publish(as: destination)
        }
        isFinished = true
        return destination
    }

    private func writeFile(_ name: String, _ bytes: [UInt8]) throws(ArtifactError) {
        let file = try OpenFile.create("\(temporary.path)/\(name)")
        try file.write(bytes)
        try file.sync()
    }

    /// Removes everything written so far; does nothing after `finish`.
    package func cancel() {
        guard !isFinished else { return }
        isFinished = true
        temporary.discard()
        for path in createdParents.reversed() { rmdir(path) }
        store.removeEmptyDirectories()
    }
}

/// `weights.bin` while it grows.
private final class WeightsFile {
    private let file: OpenFile
    private var digest = Digest()
    private var length = 0

    init(path: String) throws(ArtifactError) { file = try OpenFile.create(path) }

    func append(_ bytes: UnsafeRawBufferPointer) throws(ArtifactError) {
        if bytes.count < 1 << 20 {
            try file.write(bytes)
            digest.update(bytes)
        } else {
            try appendOnTwoThreads(bytes)
        }
        length += bytes.count
    }

    /// Writes on one thread and digests on another, because either takes about as long.
    private func appendOnTwoThreads(_ bytes: UnsafeRawBufferPointer) throws(ArtifactError) {
        // Each index is run once and touches only its own variable; both are done when the call returns.
        nonisolated(unsafe) let bytes = bytes
        nonisolated(unsafe) var digest = digest
        nonisolated(unsafe) var result = Result<Void, ArtifactError>.success(())
        DispatchQueue.concurrentPerform(iterations: 2) { [file] index in
            if index == 0 {
                result = Result { () throws(ArtifactError) in try file.write(bytes) }
            } else {
                digest.update(bytes)
            }
        }
        self.digest = digest
        try result.get()
    }

    /// Fills with zeros up to a multiple of `alignment` and returns the length.
    func align(to alignment: Int) throws(ArtifactError) -> Int {
        let padding = [UInt8](repeating: 0, count: (alignment - length % alignment) % alignment)
        try padding.withUnsafeBytes { bytes in Result { () throws(ArtifactError) in try append(bytes) } }.get()
        return length
    }

    func finish() throws(ArtifactError) -> Manifest.Section {
        _ = try align(to: WeightEntry.alignment)
        try file.sync()
        return Manifest.Section(bytes: length, sha256: digest.finish())
    }
}
