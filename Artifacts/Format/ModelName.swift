import Glibc

/// The file that holds the model's names where it was compiled under others than the first: each ends in a zero byte but for the last, the latest
/// comes first.
///
/// A name decides nothing that is compiled, so that it is in no key and under no checksum.
enum ModelName {
    static let file = "name"
    /// No name is longer.
    private static let bytesMax = 1024

    /// Whether an artifact's directory may hold a file of this name: the name, or what a process that died left of one.
    static func isKnown(_ name: String) -> Bool { name == file || name.hasPrefix(file + ".") }

    /// No more are kept.
    private static let countMax = 8

    /// The names in an artifact's directory, the latest first; none where nothing there makes sense.
    static func read(in directory: OpenFile) -> [String] {
        guard let file = try? OpenFile.reading(file, in: directory), let size = try? Int(file.status().st_size), size <= countMax * (bytesMax + 1),
            let bytes = try? file.readAll()
        else { return [] }
        let names = bytes.split(separator: 0).map { $0.count > bytesMax ? nil : String(validating: $0, as: UTF8.self) }
        return names.contains(nil) ? [] : Array(names.compactMap(\.self).prefix(countMax))
    }

    /// Those that are kept once `name` is the latest.
    static func latest(_ name: String, before others: [String]) -> [String] { Array(([name] + others.filter { $0 != name }).prefix(countMax)) }

    /// Writes the names in one step.
    static func write(_ names: [String], in directory: OpenFile) throws(ArtifactError) {
        if let name = names.first(where: { $0.utf8.count > bytesMax }) {
            throw .refused("\(directory.path): the model's name has \(name.utf8.count) bytes, at most \(bytesMax) are kept")
        }
        let temporary = "\(file).\(getpid())"
        do throws(ArtifactError) {
            let new = try OpenFile.create(temporary, in: directory)
            try new.write(Array(names.joined(separator: "\0").utf8))
            try new.sync()
            guard renameat(directory.descriptor, temporary, directory.descriptor, file) == 0 else {
                throw .errno("create", "\(directory.path)/\(file)")
            }
        } catch {
            unlinkat(directory.descriptor, temporary, 0)
            throw error
        }
    }
}

extension Artifact {
    /// Has the artifact at `path` carry this name of its model before its others from now on; those who have it open keep what they read.
    package static func setModelName(_ name: String, directory path: String) throws(ArtifactError) {
        try ArtifactReader.read(path) { reader throws(ArtifactError) in
            guard reader.manifest.provenance.model != name else { return }
            try ModelName.write(ModelName.latest(name, before: reader.manifest.provenance.allNames), in: reader.directory)
        }
    }
}
