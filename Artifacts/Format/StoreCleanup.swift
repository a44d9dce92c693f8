import Glibc

/// Bytes of one part of a store; what several artifacts share counts once, at the first that has it.
package struct DiskUse: Sendable, Hashable, Codable {
    package var path: String
    package var model: String?
    /// Bytes of all its files.
    package var bytes: Int
    /// Bytes that nothing listed before has.
    package var ownBytes: Int
}

/// What `gc` removed, or would remove.
package struct StoreCleanup: Sendable, Hashable, Codable {
    package struct Removal: Sendable, Hashable, Codable {
        package var path: String
        package var reason: String
        package var freedBytes: Int
    }
    package var removed: [Removal] = []
    /// Artifacts that should go, but that a process has open.
    package var inUse: [String] = []
    package var freedBytes: Int { removed.reduce(0) { $0 + $1.freedBytes } }
}

/// Files counted once by device and inode.
private struct Inventory {
    private struct Identity: Hashable {
        var device: UInt64
        var inode: UInt64
    }
    private var seen: Set<Identity> = []

    /// Bytes under `path`: all, and those of files not counted before.
    mutating func add(_ path: String) -> (all: Int, new: Int) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return (0, 0) }
        if status.st_mode & S_IFMT == S_IFDIR {
            var sum = (all: 0, new: 0)
            for name in Directories.names(in: path) {
                let part = add("\(path)/\(name)")
                sum = (sum.all + part.all, sum.new + part.new)
            }
            return sum
        }
        // Sparse files may be as long as numbers go.
        let bytes = min(Int(status.st_size), 1 << 48)
        let isNew = seen.insert(Identity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))).inserted
        return (bytes, isNew ? bytes : 0)
    }
}

extension Store {
    /// The store's parts: artifacts, the latest used first, then packed weights and everything else.
    package func diskUse() -> [DiskUse] {
        var inventory = Inventory()
        var parts: [(path: String, model: String?)] = list().map { ($0.path, $0.manifest.provenance.model) }
        parts += unreadable().map { ($0.path, nil) }
        parts += Directories.names(in: weightsPath).map { ("\(weightsPath)/\($0)", nil) }
        parts += [recordsPath, locksPath, temporaryPath].filter(Directories.exists).map { ($0, nil) }
        return parts.map { path, model in
            let (all, new) = inventory.add(path)
            return DiskUse(path: path, model: model, bytes: all, ownBytes: new)
        }
    }

    /// Removes artifacts; processes that have one open keep what they mapped.
    ///
    /// - Parameter force: Without it nothing is removed where another process has one of them open.
    /// - Throws: `inUse`, also with `dryRun`.
    package func remove(_ paths: [String], force: Bool, dryRun: Bool = false) throws(ArtifactError) {
        var held: [OpenFile] = []
        for path in paths where !held.contains(where: { $0.isStill(at: path) }) {
            if Directories.parent(of: path) != artifactsPath { _ = try Artifact.manifest(directory: path) }
            let handle = try OpenFile.directory(path)
            guard handle.tryLock() || force else { throw .inUse(path: path, processes: handle.otherHolders) }
            held.append(handle)
        }
        guard !dryRun else { return }
        for handle in held { try discard(handle.path) }
    }

    /// Takes a directory out of sight by a rename, then deletes it.
    private func discard(_ path: String) throws(ArtifactError) {
        let trash = try TemporaryDirectory(in: temporaryPath, prefix: Self.temporaryPrefix)
        defer { trash.discard() }
        let target = "\(trash.path)/\(Directories.name(of: path))"
        if rename(path, target) != 0 {
            guard errno == EXDEV else { throw .errno("remove", path) }
            try Directories.remove(path)
        }
    }

    /// Removes the least recently used artifacts beyond `keepLast` and until the store holds at most `maxBytes`, then
    /// packed weights no artifact refers to and what dead processes left.
    ///
    /// Artifacts that a process has open stay. With `dryRun` nothing is removed.
    package func collect(keepLast: Int?, maxBytes: Int?, dryRun: Bool) throws(ArtifactError) -> StoreCleanup {
        try requireReadable()
        var result = StoreCleanup()
        let artifacts = list()
        var kept: [StoredArtifact] = []
        for (index, artifact) in artifacts.enumerated() {
            if let keepLast, index >= keepLast {
                if try !drop(artifact, "beyond the last \(keepLast)", kept, dryRun, &result) { kept.append(artifact) }
            } else {
                kept.append(artifact)
            }
        }
        try dropUnreferencedWeights(kept, dryRun, &result)
        if let maxBytes {
            for artifact in kept.reversed() where size(of: kept) > maxBytes {
                let rest = kept.filter { $0.path != artifact.path }
                if try drop(artifact, "over \(maxBytes) bytes", rest, dryRun, &result) {
                    kept = rest
                    try dropUnreferencedWeights(kept, dryRun, &result)
                }
            }
        }
        if !dryRun {
            TemporaryDirectory.removeStale(in: temporaryPath, prefix: Self.temporaryPrefix)
            forgetOldRecords()
            removeEmptyDirectories()
        }
        return result
    }

    /// Drops records that nobody wrote for a month; what is still needed costs one more reading of a checkpoint.
    private func forgetOldRecords() {
        let month = 30 * 86_400
        for kind in RecordKind.allCases {
            for name in Directories.names(in: "\(recordsPath)/\(kind.rawValue)") {
                let path = "\(recordsPath)/\(kind.rawValue)/\(name)"
                var status = stat()
                if stat(path, &status) == 0, status.st_mtim.tv_sec < time(nil) - month { unlink(path) }
            }
        }
    }

    /// Bytes that the store would hold with only these artifacts and the weights they refer to.
    private func size(of artifacts: [StoredArtifact]) -> Int {
        var inventory = Inventory()
        let weights = Set(artifacts.map { "\(weightsPath)/\($0.manifest.weightsKey)" })
        return (artifacts.map(\.path) + weights.sorted() + [recordsPath]).reduce(0) { $0 + inventory.add($1).new }
    }

    private func drop(
        _ artifact: StoredArtifact, _ reason: String, _ others: [StoredArtifact], _ dryRun: Bool,
        _ result: inout StoreCleanup
    ) throws(ArtifactError) -> Bool {
        guard let handle = try OpenFile.reading(artifact.path), handle.tryLock() else {
            result.inUse.append(artifact.path)
            return false
        }
        var inventory = Inventory()
        for other in others { _ = inventory.add(other.path) }
        for name in Directories.names(in: weightsPath) { _ = inventory.add("\(weightsPath)/\(name)") }
        let freed = inventory.add(artifact.path).new
        if !dryRun { try discard(artifact.path) }
        result.removed.append(.init(path: artifact.path, reason: reason, freedBytes: freed))
        return true
    }

    private func dropUnreferencedWeights(
        _ kept: [StoredArtifact], _ dryRun: Bool, _ result: inout StoreCleanup
    ) throws(ArtifactError) {
        let wanted = Set(kept.map(\.manifest.weightsKey))
        let gone = Set(result.removed.map(\.path))
        for name in Directories.names(in: weightsPath) where !wanted.contains(name) {
            let path = "\(weightsPath)/\(name)"
            guard !gone.contains(path) else { continue }
            var inventory = Inventory()
            for artifact in kept { _ = inventory.add(artifact.path) }
            let freed = inventory.add(path).new
            if !dryRun { try discard(path) }
            result.removed.append(.init(path: path, reason: "no artifact refers to these weights", freedBytes: freed))
        }
    }
}
