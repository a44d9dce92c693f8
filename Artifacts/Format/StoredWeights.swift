import Glibc
package import Plan

/// Packed weights that the store keeps apart from artifacts.
struct StoredWeights {
    var dataPath: String
    var entries: [WeightEntry]
    var section: Manifest.Section

    /// Whether the bytes are still those that were packed; reads them all.
    var areIntact: Bool {
        guard let file = try? OpenFile.reading(dataPath), let mapping = try? Mapping(file, bytes: section.bytes) else { return false }
        return entries.compareSums(in: mapping.bytes) != nil
    }

    /// Whether the file at `path` holds the same bytes; reads both.
    func areSame(as path: String) -> Bool {
        guard let file = try? OpenFile.reading(dataPath), let mapping = try? Mapping(file, bytes: section.bytes),
            let other = try? OpenFile.reading(path), let otherMapping = try? Mapping(other, bytes: section.bytes)
        else { return false }
        guard let bytes = mapping.bytes.baseAddress, let otherBytes = otherMapping.bytes.baseAddress else { return section.bytes == 0 }
        return memcmp(bytes, otherBytes, section.bytes) == 0
    }
}

/// The packed bytes of one weight somewhere in the store.
package struct ReusableWeight {
    package let entry: WeightEntry
    private let file: OpenFile

    fileprivate init(entry: WeightEntry, file: OpenFile) {
        self.entry = entry
        self.file = file
    }

    /// Hands out the bytes in order, a few megabytes at a time.
    func forEachPiece(_ body: ([UInt8]) throws(ArtifactError) -> Void) throws(ArtifactError) {
        var offset = 0
        while offset < entry.byteCount {
            let count = min(8 << 20, entry.byteCount - offset)
            guard let bytes = try file.read(at: entry.offset + offset, count: count) else {
                throw .wrongSize(path: file.path, section: entry.name, expected: entry.byteCount, found: offset)
            }
            try body(bytes)
            offset += count
        }
    }

    /// Whether the bytes are still those that were packed.
    var isIntact: Bool {
        var sum = LineSum()
        guard (try? forEachPiece({ $0.withUnsafeBytes { sum.update($0) } })) != nil else { return false }
        return sum.value == entry.sum
    }
}

extension Store {
    private static let checksumName = "weights.sha256"

    /// The weights kept under `key`; nil when there are none or their files do not fit together.
    func storedWeights(_ key: String) -> StoredWeights? {
        let directory = "\(weightsPath)/\(key)"
        let dataPath = "\(directory)/\(SectionName.weights.path)"
        let tablePath = "\(directory)/\(SectionName.weightTable.path)"
        guard (try? requireTrusted(entry: directory)) != nil, let table = try? OpenFile.reading(tablePath)?.readAll(),
            let checksum = try? OpenFile.reading("\(directory)/\(Self.checksumName)")?.readAll(),
            let data = try? OpenFile.reading(dataPath), let status = try? data.status(),
            let entries = try? JSONCoding.decode(
                [WeightEntry].self, from: table, path: directory, section: SectionName.weightTable.path)
        else { return nil }
        let words = String(decoding: checksum, as: UTF8.self).split(whereSeparator: \.isWhitespace)
        let bytes = Int(status.st_size)
        guard words.count == 3, Int(words[2]) == bytes, WeightEntry.misplaced(entries, fileBytes: bytes) == nil,
            ArtifactKey.weightsKey(entryKeys: entries.map(\.key)) == key
        else { return nil }
        return StoredWeights(
            dataPath: dataPath, entries: entries, section: Manifest.Section(bytes: bytes, sha256: String(words[0])))
    }

    /// Has the weights of an artifact under construction lie on the disk once: those that the store has under `key` take their
    /// place where they are the same bytes, else these are kept from now on. No error where linking is impossible.
    func shareWeights(
        _ key: String, of directory: String, table: [UInt8], section: Manifest.Section
    ) throws(ArtifactError) {
        let path = "\(directory)/\(SectionName.weights.path)"
        if let stored = storedWeights(key), stored.section == section, stored.areSame(as: path), replace(path, byLinkTo: stored.dataPath) { return }
        try adoptWeights(key, from: directory, table: table, section: section)
    }

    /// Has every artifact of these weights use the bytes that the store keeps, in place of older or damaged ones of its own;
    /// what cannot be linked stays as it is, and so does the time of its last use.
    ///
    /// - Parameter fresh: An artifact whose weights were written just now.
    func relinkWeights(_ key: String, _ section: Manifest.Section, sharedBy fresh: String) {
        let name = SectionName.weights.path
        guard let kept = storedWeights(key)?.dataPath, let file = try? OpenFile.reading(kept), file.isStill(at: "\(fresh)/\(name)") else { return }
        for artifact in list() where artifact.manifest.weightsKey == key && artifact.manifest.sections[name] == section {
            let path = "\(artifact.path)/\(name)"
            guard !file.isStill(at: path), let status = try? OpenFile.directory(artifact.path).status() else { continue }
            guard replace(path, byLinkTo: kept) else { continue }
            utimensat(AT_FDCWD, artifact.path, [status.st_atim, status.st_mtim], 0)
        }
    }

    /// Puts a hard link to `source` where the file `path` is, in one step; false where that is impossible.
    private func replace(_ path: String, byLinkTo source: String) -> Bool {
        guard let temporary = try? TemporaryDirectory(in: temporaryPath, prefix: Self.temporaryPrefix) else { return false }
        defer { temporary.discard() }
        let new = "\(temporary.path)/\(SectionName.weights.path)"
        return link(source, new) == 0 && rename(new, path) == 0
    }

    /// Keeps the weights of an artifact under construction for other artifacts; no error where linking is impossible.
    private func adoptWeights(
        _ key: String, from directory: String, table: [UInt8], section: Manifest.Section
    ) throws(ArtifactError) {
        try Unfinished.creating { () throws(ArtifactError) in _ = try create(weightsPath) }
        let temporary = try TemporaryDirectory(in: temporaryPath, prefix: Self.temporaryPrefix)
        let name = SectionName.weights.path
        if link("\(directory)/\(name)", "\(temporary.path)/\(name)") != 0 {
            if errno == EXDEV || errno == EPERM || errno == EMLINK || errno == ENOTSUP { return }
            throw .errno("link", "\(temporary.path)/\(name)")
        }
        let checksum = Array("\(section.sha256)  \(name) \(section.bytes)\n".utf8)
        for (name, bytes) in [(SectionName.weightTable.path, table), (Self.checksumName, checksum)] {
            let file = try OpenFile.create(name, in: temporary.directory)
            try file.write(bytes)
            try file.sync()
        }
        try temporary.publish(as: "\(weightsPath)/\(key)")
    }

    /// Packed weights in the store by their entries' keys, for checkpoints that share tensors with earlier ones.
    package func reusableWeights() -> ReusableWeights {
        ReusableWeights(tables: Directories.names(in: weightsPath).compactMap(storedWeights))
    }
}

/// A lookup of packed weights by their keys over everything the store has.
package struct ReusableWeights {
    private var places: [String: (path: String, entry: WeightEntry)] = [:]

    fileprivate init(tables: [StoredWeights]) {
        for table in tables {
            for entry in table.entries { places[entry.key] = (table.dataPath, entry) }
        }
    }

    /// The packed bytes of the weight with this key; nil when the store has none, or damaged ones.
    package subscript(key: String) -> ReusableWeight? {
        guard let place = places[key], let file = try? OpenFile.reading(place.path) else { return nil }
        let weight = ReusableWeight(entry: place.entry, file: file)
        return weight.isIntact ? weight : nil
    }
}
