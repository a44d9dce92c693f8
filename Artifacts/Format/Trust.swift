import Glibc

/// Who may have written what lies in a store.
///
/// A key is predictable and says nothing about plans and weights, so that what lies under one is as good as those who may write there: the
/// user of this process and root. The directories above a store are for their owners to protect.
extension Store {
    /// Throws `untrusted` when another user owns the store or one of its directories, or others may write there.
    ///
    /// What does not exist is nobody's.
    package func requireTrusted() throws(ArtifactError) {
        guard !trustsOthers else { return }
        let records = RecordKind.allCases.map(recordsPath)
        for path in [root, artifactsPath, weightsPath, recordsPath, locksPath, temporaryPath] + records {
            if let reason = Trust.doubt(path) { throw .untrusted(path: path, reason: reason) }
        }
    }

    /// The same for an entry of the store and the files in it.
    func requireTrusted(entry path: String) throws(ArtifactError) {
        guard !trustsOthers else { return }
        for place in [path, "\(path)/ir"] {
            if let reason = Trust.doubt(place) { throw .untrusted(path: place, reason: reason) }
            for name in Directories.names(in: place) {
                if let reason = Trust.doubt("\(place)/\(name)") { throw .untrusted(path: "\(place)/\(name)", reason: reason) }
            }
        }
    }

    /// Makes the store's directory, for its user alone.
    package func prepare() throws(ArtifactError) {
        try Unfinished.creating { () throws(ArtifactError) in _ = try create(root) }
    }

    /// Makes a directory of the store; one that is new is its user's alone.
    ///
    /// - Returns: What was created, outermost first.
    @discardableResult
    func create(_ path: String) throws(ArtifactError) -> [String] {
        do throws(ArtifactError) { return try Directories.create(root, mode: 0o700) + Directories.create(path) } catch {
            guard case .system(let operation, let path, let reason) = error else { throw error }
            throw .system(operation: operation, path: path, reason: "\(reason); choose another store by --store DIR or VLM_STORE")
        }
    }

    /// The store in which the artifact at `path` lies; nil for one that lies elsewhere.
    static func around(_ path: String, trustsOthers: Bool) -> Store? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        guard let folder = Directories.parent(of: String(cString: resolved)), Directories.name(of: folder) == "artifacts",
            let root = Directories.parent(of: folder)
        else { return nil }
        return Store(root: root, trustsOthers: trustsOthers)
    }

    /// Throws `untrusted` for an artifact that lies in a store which is not to be trusted.
    ///
    /// - Returns: What its user should know of one that was named by a path and lies elsewhere: whoever names it trusts its owner, but
    ///   may not know that others can write to it.
    package static func checkTrust(artifact path: String, trustsOthers: Bool) throws(ArtifactError) -> String? {
        guard !trustsOthers else { return nil }
        if let store = around(path, trustsOthers: false) {
            try store.requireTrusted()
            try store.requireTrusted(entry: path)
            return nil
        }
        let open = ([path] + Directories.names(in: path).map { "\(path)/\($0)" }).first(where: Trust.isOpen)
        return open.map { "\($0) may be written to by others, and who writes there decides the answers; chmod go-w keeps them out" }
    }

    /// Whether the environment says that stores of others are fine.
    ///
    /// - Throws: `refused` for a value that says neither.
    package static func trustsOthers(_ environment: [String: String]) throws(ArtifactError) -> Bool {
        let value = environment["VLM_TRUST_STORE"] ?? ""
        switch value.lowercased() {
        case "", "0", "false", "no": return false
        case "1", "true", "yes": return true
        default: throw .refused("VLM_TRUST_STORE=\(value) is neither 0 nor 1")
        }
    }
}

private enum Trust {
    /// Why what lies at `path` is not to be trusted, in words; nil when it is, or when nothing is there.
    static func doubt(_ path: String) -> String? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        guard status.st_uid == geteuid() || status.st_uid == 0 else {
            return "belongs to user \(status.st_uid), this process runs as user \(geteuid())"
        }
        return isOpen(status) ? "may be written to by others" : nil
    }

    static func isOpen(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && isOpen(status)
    }

    private static func isOpen(_ status: stat) -> Bool { status.st_mode & (S_IWGRP | S_IWOTH) != 0 }
}
