import Glibc

/// The file that holds the model's name where it has another one than when the artifact was compiled.
///
/// A name decides nothing that is compiled, so that it is in no key and under no checksum.
enum ModelName {
    static let file = "name"
    /// No name is longer.
    private static let bytesMax = 1024

    /// Whether an artifact's directory may hold a file of this name: the name, or what a process that died left of one.
    static func isKnown(_ name: String) -> Bool { name == file || name.hasPrefix(file + ".") }

    /// The name in an artifact's directory; nil where there is none that makes sense.
    static func read(in directory: OpenFile) -> String? {
        guard let file = try? OpenFile.reading(file, in: directory), let size = try? Int(file.status().st_size), size <= bytesMax,
            let bytes = try? file.readAll()
        else { return nil }
        return String(validating: bytes, as: UTF8.self).flatMap { $0.isEmpty ? nil : $0 }
    }

    /// Writes the name in one step.
    static func write(_ name: String, in directory: OpenFile) throws(ArtifactError) {
        guard name.utf8.count <= bytesMax else {
            throw .refused("\(directory.path): the model's name has \(name.utf8.count) bytes, at most \(bytesMax) are kept")
        }
        let temporary = "\(file).\(getpid())"
        do throws(ArtifactError) {
            let new = try OpenFile.create(temporary, in: directory)
            try new.write(Array(name.utf8))
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
    /// Has the artifact at `path` carry this name of its model from now on; those who have it open keep the one they read.
    package static func setModelName(_ name: String, directory path: String) throws(ArtifactError) {
        try ArtifactReader.read(path) { reader throws(ArtifactError) in
            guard reader.manifest.provenance.model != name else { return }
            try ModelName.write(name, in: reader.directory)
        }
    }
}
