import Plan

extension Store {
    /// The path of the artifact that `name` means: a path, the beginning of a key, or a model's name.
    ///
    /// A model's name means its latest used artifact: good for looking at.
    package func find(_ name: String) throws(ArtifactError) -> String {
        let path = try Self.isArtifact(name) ? name : keyed(name) ?? named(name).first?.path
        guard let path else { throw missing(name) }
        _ = try Self.checkTrust(artifact: path, trustsOthers: trustsOthers)
        return path
    }

    /// The path of the one artifact that `name` means, for those who run it.
    ///
    /// A path that exists is meant before everything else.
    ///
    /// - Throws: `ambiguous` when the name, or the beginning of a key, is that of several artifacts.
    package func findOne(_ name: String) throws(ArtifactError) -> String {
        if Directories.exists(name) {
            guard Self.isArtifact(name) else { throw missing(name) }
            return name
        }
        let found = try findAll(name)
        guard found.count == 1 else { throw ambiguous(name, found) }
        return found[0]
    }

    /// The paths of all artifacts that `name` means: one at a path or with a whole key, every one of a model's name.
    ///
    /// - Throws: `ambiguous` when several keys begin so; `notFound` and its like when there is none.
    package func findAll(_ name: String) throws(ArtifactError) -> [String] {
        if Self.isArtifact(name) { return [name] }
        var found: [String] = []
        if let path = try keyed(name) {
            found = [path]
            if Directories.name(of: path) == name { return found }
        }
        found += named(name).map(\.path).filter { !found.contains($0) }
        guard !found.isEmpty else { throw missing(name) }
        return found
    }

    /// The error that lists these artifacts as `ls` shows them.
    package func ambiguous(_ name: String, _ paths: [String]) -> ArtifactError {
        let all = list()
        return .ambiguous(
            name: name,
            matches: paths.map { path in
                let key = String(Directories.name(of: path).prefix(max(12, name.count + 4)))
                guard let manifest = all.first(where: { $0.path == path })?.manifest else { return key }
                let gears = manifest.key.limits.gears.map(String.init).joined(separator: ",")
                return "\(key) (\(manifest.provenance.model), \(manifest.key.target.rawValue), "
                    + "\(manifest.key.precision.rawValue), gears \(gears))"
            })
    }

    private static func isArtifact(_ path: String) -> Bool { Directories.exists("\(path)/\(ArtifactReader.manifestName)") }

    /// The artifact whose key begins with `name`, readable or not; nil without one.
    private func keyed(_ name: String) throws(ArtifactError) -> String? {
        guard !name.isEmpty, !name.contains("/") else { return nil }
        let matches = Directories.names(in: artifactsPath).filter { $0.hasPrefix(name) }.map { "\(artifactsPath)/\($0)" }
        guard matches.count <= 1 else { throw ambiguous(name, matches) }
        return matches.first
    }

    /// The artifacts of a model of this name, the latest used first.
    private func named(_ name: String) -> [StoredArtifact] { list().filter { $0.manifest.provenance.allNames.contains(name) } }

    /// Why nothing is found under `name`.
    private func missing(_ name: String) -> ArtifactError {
        guard name.contains("/") || Directories.exists(name) else { return .notFound(name: name, store: root) }
        if Directories.exists("\(name)/config.json") { return .modelDirectory(path: name) }
        let reason = Directories.exists(name) ? "it has no \(ArtifactReader.manifestName)" : "it does not exist"
        return .notAnArtifact(path: name, reason: reason)
    }
}
