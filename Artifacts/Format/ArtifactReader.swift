import Glibc

/// The manifest of an artifact and access to its sections through one open directory.
final class ArtifactReader {
    static let manifestName = "manifest.json"
    /// The manifest's own checksum, in the form that `sha256sum -c` reads.
    static let checksumName = "manifest.sha256"
    /// No manifest is larger than this.
    private static let largestManifest = 16 << 20

    let path: String
    let directory: OpenFile
    /// With the name that the model has now.
    let manifest: Manifest
    /// By name, in order.
    let sections: [(SectionName, Manifest.Section)]

    /// Calls `body` with the artifact at `path`, again whenever the directory was replaced meanwhile.
    static func read<Result>(
        _ path: String, _ body: (ArtifactReader) throws(ArtifactError) -> Result
    ) throws(ArtifactError) -> Result {
        for _ in 0..<64 {
            let directory = try directory(path)
            do throws(ArtifactError) {
                return try body(ArtifactReader(path: path, directory: directory))
            } catch {
                if directory.isStill(at: path) || !Directories.exists(path) { throw error }
            }
        }
        throw .notAnArtifact(path: path, reason: "it is replaced again and again")
    }

    /// Whether the directory holds an artifact, of whatever format.
    static func isArtifact(_ path: String) -> Bool {
        do throws(ArtifactError) {
            try read(path) { _ throws(ArtifactError) in }
            return true
        } catch {
            if case .otherFormat = error { return true }
            return false
        }
    }

    private static func directory(_ path: String) throws(ArtifactError) -> OpenFile {
        do {
            return try OpenFile.directory(path)
        } catch {
            let reason = Directories.exists(path) ? "it is no readable directory" : "it does not exist"
            throw .notAnArtifact(path: path, reason: reason)
        }
    }

    private init(path: String, directory: OpenFile) throws(ArtifactError) {
        self.path = path
        self.directory = directory
        guard let bytes = try Self.small(Self.manifestName, in: directory) else {
            if Directories.exists("\(path)/config.json") { throw .modelDirectory(path: path) }
            throw .notAnArtifact(path: path, reason: "it has no \(Self.manifestName)")
        }
        var manifest = try Self.decode(bytes, checksum: Self.small(Self.checksumName, in: directory), path: path)
        manifest.provenance.names = nil
        let names = ModelName.read(in: directory)
        if let name = names.first {
            let first = manifest.provenance.model
            manifest.provenance.model = name
            manifest.provenance.names = names.contains(first) ? names : names + [first]
        }
        self.manifest = manifest
        var sections: [(SectionName, Manifest.Section)] = []
        for (name, section) in manifest.sections.sorted(by: { $0.key < $1.key }) {
            guard let known = SectionName(path: name), section.bytes >= 0 else {
                throw .malformed(path: path, section: Self.manifestName, reason: "section \(name) has no proper name or size")
            }
            guard section.bytes <= known.bytesMax else {
                throw .malformed(
                    path: path, section: name, reason: "it has \(section.bytes) bytes, more than the \(known.bytesMax) that are read")
            }
            sections.append((known, section))
        }
        self.sections = sections
        for needed in [SectionName.program, .weightTable, .weights] { _ = try section(needed) }
    }

    /// The bytes of a small file; nil when it does not exist or is too large.
    private static func small(_ name: String, in directory: OpenFile) throws(ArtifactError) -> [UInt8]? {
        guard let file = try OpenFile.reading(name, in: directory), Int(try file.status().st_size) <= largestManifest
        else { return nil }
        return try file.readAll()
    }

    private struct Version: Decodable {
        var formatVersion: Int
    }

    private static func decode(_ bytes: [UInt8], checksum: [UInt8]?, path: String) throws(ArtifactError) -> Manifest {
        let isIntact = checksum == checksumLine(bytes)
        let version: Version
        do {
            version = try JSONCoding.decode(Version.self, from: bytes, path: path, section: manifestName)
        } catch {
            throw isIntact ? error : .damaged(path: path, section: manifestName)
        }
        guard version.formatVersion == Manifest.formatVersion else {
            throw .otherFormat(path: path, found: version.formatVersion, supported: Manifest.formatVersion)
        }
        guard checksum != nil else { throw .missingSection(path: path, section: checksumName) }
        guard isIntact else { throw .damaged(path: path, section: manifestName) }
        let manifest = try JSONCoding.decode(Manifest.self, from: bytes, path: path, section: manifestName)
        guard manifest.keyDigest == manifest.key.digest, manifest.programKey == manifest.key.programKey else {
            throw .malformed(path: path, section: manifestName, reason: "the digests are not those of the key")
        }
        for (name, digest) in manifest.key.configs.sections where manifest.sections[name.path]?.sha256 ?? "" != digest {
            throw .malformed(path: path, section: name.path, reason: "the artifact's key names another one")
        }
        return manifest
    }

    static func checksumLine(_ manifest: [UInt8]) -> [UInt8] {
        Array("\(Digest.of(manifest))  \(manifestName)\n".utf8)
    }

    func section(_ name: SectionName) throws(ArtifactError) -> Manifest.Section {
        guard let section = manifest.sections[name.path] else {
            throw .missingSection(path: path, section: name.path)
        }
        return section
    }

    func file(_ name: SectionName) throws(ArtifactError) -> OpenFile {
        guard let file = try OpenFile.reading(name.path, in: directory) else {
            throw .missingSection(path: path, section: name.path)
        }
        return file
    }

    func checkSize(_ name: SectionName, _ section: Manifest.Section) throws(ArtifactError) {
        let status = try file(name).status()
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw .missingSection(path: path, section: name.path)
        }
        guard Int(status.st_size) == section.bytes else {
            throw .wrongSize(path: path, section: name.path, expected: section.bytes, found: Int(status.st_size))
        }
    }

    /// Reads the file in pieces and compares its digest.
    func checkDigest(_ name: SectionName, _ section: Manifest.Section) throws(ArtifactError) {
        let file = try file(name)
        var digest = Digest()
        var offset = 0
        while offset < section.bytes {
            let count = min(4 << 20, section.bytes - offset)
            guard let piece = try file.read(at: offset, count: count) else {
                throw .wrongSize(path: path, section: name.path, expected: section.bytes, found: offset)
            }
            digest.update(piece)
            offset += count
        }
        guard digest.finish() == section.sha256 else { throw .damaged(path: path, section: name.path) }
    }

    func bytes(_ name: SectionName) throws(ArtifactError) -> [UInt8] { try bytes(name, section(name)) }

    /// The whole section, checked.
    func bytes(_ name: SectionName, _ section: Manifest.Section) throws(ArtifactError) -> [UInt8] {
        let file = try file(name)
        try checkSize(name, section)
        guard let bytes = try file.read(at: 0, count: section.bytes) else {
            throw .wrongSize(path: path, section: name.path, expected: section.bytes, found: 0)
        }
        guard Digest.of(bytes) == section.sha256 else { throw .damaged(path: path, section: name.path) }
        return bytes
    }
}
