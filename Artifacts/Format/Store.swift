import Glibc

/// A directory of artifacts, packed weights and remembered digests, shared by all compiles and servers of a user; what others may have
/// written there is refused.
///
/// `artifacts/<key>/`, `weights/<key>/`, `records/<kind>/`, `locks/`, `tmp/`; directories appear when first needed.
package struct Store: Sendable {
    package let root: String
    /// Whether what other users own or may write to is used as well.
    package let trustsOthers: Bool

    package init(root: String, trustsOthers: Bool = false) {
        self.root = root
        self.trustsOthers = trustsOthers
    }

    /// The store that `option` names, else `$VLM_STORE`, else `$XDG_CACHE_HOME/vlm`, else `~/.cache/vlm`.
    ///
    /// - Parameter trustsOthers: as `--trust-store` says; `VLM_TRUST_STORE` says the same.
    /// - Throws: `refused` when none of them is set, or `VLM_TRUST_STORE` to what says nothing.
    package static func resolve(
        option: String?, environment: [String: String], trustsOthers: Bool = false
    ) throws(ArtifactError) -> Store {
        func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        let trustsAll = try Self.trustsOthers(environment) || trustsOthers
        func store(_ root: String) -> Store { Store(root: root, trustsOthers: trustsAll) }
        if let option {
            guard !option.isEmpty else { throw .refused("--store needs a directory") }
            return store(option)
        }
        if let path = value("VLM_STORE") { return store(path) }
        if let path = value("XDG_CACHE_HOME") { return store("\(path)/vlm") }
        if let path = value("HOME") { return store("\(path)/.cache/vlm") }
        throw .refused("no place for the store: give --store DIR or set VLM_STORE")
    }

    static let temporaryPrefix = "new-"
    package var artifactsPath: String { "\(root)/artifacts" }
    var weightsPath: String { "\(root)/weights" }
    var recordsPath: String { "\(root)/records" }
    var locksPath: String { "\(root)/locks" }
    var temporaryPath: String { "\(root)/tmp" }

    /// Where the artifact of `key` is or will be.
    package func path(of key: ArtifactKey) -> String { "\(artifactsPath)/\(key.digest)" }

    /// The path of the artifact with exactly this key when it is there and intact: one that is damaged counts as absent, and publishing
    /// replaces it.
    ///
    /// Read are the small sections, and of weights the sums once for each state of their file, which the store remembers.
    ///
    /// - Parameter damaged: told what is wrong with one that is damaged.
    /// - Throws: `untrusted`.
    package func lookup(_ key: ArtifactKey, damaged: (ArtifactError) -> Void = { _ in }) throws(ArtifactError) -> String? {
        let path = path(of: key)
        try requireTrusted(entry: path)
        guard Directories.exists(path) else { return nil }
        do throws(ArtifactError) {
            let artifact = try Artifact.open(directory: path)
            guard artifact.manifest.key == key else { return nil }
            try artifact.checkWeights(rereadsKnown: false)
            return path
        } catch {
            damaged(error)
            return nil
        }
    }

    /// Throws where the store is there and cannot be listed, so that nothing takes it for an empty one.
    package func requireReadable() throws(ArtifactError) {
        for path in [root, artifactsPath] where Directories.exists(path) { _ = try OpenFile.directory(path) }
    }

    /// Removes directories that are empty, so that a failed compile leaves nothing in a new store.
    package func removeEmptyDirectories() {
        let records = RecordKind.allCases.map { "\(recordsPath)/\($0.rawValue)" }
        for path in [artifactsPath, weightsPath, locksPath, temporaryPath] + records + [recordsPath, root] { rmdir(path) }
    }

    /// The store's directory and those above it that do not exist, innermost first.
    package var missingDirectories: [String] {
        var missing: [String] = []
        var path: String? = root
        while let here = path, !Directories.exists(here) {
            missing.append(here)
            path = Directories.parent(of: here)
        }
        return missing
    }

    /// Removes a store that was made in vain, with the directories above it that were made for it.
    package func remove(createdFrom missing: [String]) {
        try? Directories.remove(recordsPath)
        removeEmptyDirectories()
        for path in missing { rmdir(path) }
    }
}

/// A lock held until `release`; the lock of a dead process frees itself.
package final class BuildLock {
    private var file: OpenFile?
    private let store: Store
    private let unfinished: Unfinished

    fileprivate init(file: OpenFile, store: Store) {
        self.file = file
        self.store = store
        unfinished = Unfinished { [path = file.path] in
            unlink(path)
            store.removeEmptyDirectories()
        }
    }

    deinit { release() }

    package func release() {
        guard let file else { return }
        unfinished.settle { unlink(file.path) }
        self.file = nil
        store.removeEmptyDirectories()
    }
}

extension Store {
    /// Waits until no other process builds the artifact of `key`; look it up again once the lock is had.
    ///
    /// - Parameter onWait: Called once when another process builds it now.
    package func buildLock(_ key: ArtifactKey, onWait: () -> Void = {}) throws(ArtifactError) -> BuildLock {
        let path = "\(locksPath)/\(key.digest).lock"
        var hasWaited = false
        while true {
            let (file, lock) = try Unfinished.creating { () throws(ArtifactError) in try openedLock(path) }
            if let lock { return lock }
            guard file.isStill(at: path) else { continue }
            if !hasWaited { onWait() }
            hasWaited = true
            try file.lock()
            if file.isStill(at: path) { return BuildLock(file: file, store: self) }
        }
    }

    /// The file, and the lock where nobody holds it.
    private func openedLock(_ path: String) throws(ArtifactError) -> (OpenFile, BuildLock?) {
        try create(locksPath)
        let file = try OpenFile.open(path, flags: O_RDWR | O_CREAT | O_NOFOLLOW)
        guard file.tryLock(), file.isStill(at: path) else { return (file, nil) }
        return (file, BuildLock(file: file, store: self))
    }

    /// The artifact that differs in the fewest fields from `key`, the latest used of several; nil without one to compare.
    ///
    /// - Parameters:
    ///   - model: When given, only artifacts of this model are compared: those of the same weights, whatever their name, and where the
    ///     name is the model's own those of this name that have the tensors' names, types and shapes or `config.json` in common with `key`.
    ///   - isNameOwn: Whether no other model has the name: directories of different models often have equal ones, such as `model`.
    package func nearest(
        to key: ArtifactKey, model: String? = nil, isNameOwn: Bool = true
    ) -> (path: String, differences: [ArtifactKey.Difference])? {
        list()
            .filter { model == nil || Self.isSameModel($0.manifest, key, name: isNameOwn ? model : nil) }
            .map { (path: $0.path, differences: key.difference(from: $0.manifest.key), used: $0.lastUsed) }
            .min { ($0.differences.count, $1.used) < ($1.differences.count, $0.used) }
            .map { ($0.path, $0.differences) }
    }

    private static func isSameModel(_ manifest: Manifest, _ key: ArtifactKey, name: String?) -> Bool {
        let other = manifest.key
        if other.checkpoint == key.checkpoint { return true }
        guard let name, manifest.provenance.allNames.contains(name) else { return false }
        return other.tensors == key.tensors || other.configs.config == key.configs.config
    }

    /// An artifact whose program may be taken over because only the weights' values differ; the latest used of several.
    package func artifact(programKey: String) -> String? {
        list().filter { $0.manifest.programKey == programKey }.max { $0.lastUsed < $1.lastUsed }?.path
    }
}

/// An artifact as a listing shows it; only its manifest was read.
package struct StoredArtifact: Sendable {
    package var path: String
    package var manifest: Manifest
    /// Seconds since 1970.
    package var lastUsed: Double
}

extension Store {
    /// Every artifact with a readable manifest, the latest used first.
    package func list() -> [StoredArtifact] {
        var found: [StoredArtifact] = []
        for name in Directories.names(in: artifactsPath) {
            let path = "\(artifactsPath)/\(name)"
            let artifact = try? ArtifactReader.read(path) { reader throws(ArtifactError) in
                try requireTrusted(entry: path)
                let time = try reader.directory.status().st_mtim
                let used = Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
                return StoredArtifact(path: path, manifest: reader.manifest, lastUsed: used)
            }
            if let artifact { found.append(artifact) }
        }
        return found.sorted { ($0.lastUsed, $1.path) > ($1.lastUsed, $0.path) }
    }

    /// Directories in the store that cannot be read as artifacts.
    package func unreadable() -> [(path: String, error: ArtifactError)] {
        var found: [(String, ArtifactError)] = []
        for name in Directories.names(in: artifactsPath) {
            let path = "\(artifactsPath)/\(name)"
            do {
                try requireTrusted(entry: path)
                _ = try Artifact.manifest(directory: path)
            } catch {
                found.append((path, error))
            }
        }
        return found
    }
}
