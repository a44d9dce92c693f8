import Glibc

/// Operations on directory trees.
enum Directories {
    /// Creates `path` and its parents where they do not exist.
    ///
    /// - Returns: What was created, outermost first.
    ///
    /// - Parameter mode: of `path` itself; its parents get 0755.
    @discardableResult
    static func create(_ path: String, mode: mode_t = 0o755) throws(ArtifactError) -> [String] {
        var status = stat()
        if stat(path, &status) == 0 {
            guard status.st_mode & S_IFMT == S_IFDIR else {
                throw .system(operation: "create directory", path: path, reason: "a file of this name exists")
            }
            return []
        }
        var created: [String] = []
        // Another process may remove an empty parent between the two calls; then it is created once more.
        for attempt in 0..<4 {
            if let parent = parent(of: path) { created += try create(parent) }
            if mkdir(path, mode) == 0 { return created + [path] }
            if errno == EEXIST { return created }
            guard errno == ENOENT && attempt < 3 else { break }
        }
        throw .errno("create directory", path)
    }

    /// Puts the directory `new` where `path` is and removes what was there; readers see either the old or the new one.
    static func replace(_ path: String, with new: String) throws(ArtifactError) {
        for _ in 0..<4 {
            if rename(new, path) == 0 { return }
            // Another process may have removed the empty parent.
            guard errno == ENOENT, exists(new), let parent = parent(of: path) else { break }
            try create(parent)
        }
        guard errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR else { throw .errno("create", path) }
        if !exchange(new, path) {
            let old = "\(new).old"
            if rename(path, old) != 0 {
                // A directory of an overlay's lower layer cannot be renamed, only deleted.
                guard errno == EXDEV else { throw .errno("replace", path) }
                try remove(path)
            }
            guard rename(new, path) == 0 else {
                let error = ArtifactError.errno("replace", path)
                rename(old, path)
                throw error
            }
            try remove(old)
            return
        }
        try remove(new)
    }

    /// Swaps two directory entries in one step; false where kernel or file system cannot.
    private static func exchange(_ first: String, _ second: String) -> Bool {
        typealias RenameAt2 = @convention(c) (Int32, UnsafePointer<CChar>, Int32, UnsafePointer<CChar>, UInt32) -> Int32
        let exchangeFlag: UInt32 = 2
        // The Glibc module does not import `renameat2`, the library has it since 2.28.
        guard let symbol = dlsym(nil, "renameat2") else { return false }
        return unsafeBitCast(symbol, to: RenameAt2.self)(AT_FDCWD, first, AT_FDCWD, second, exchangeFlag) == 0
    }

    /// The path without its last component; nil for `/` and for a single word.
    static func parent(of path: String) -> String? {
        var trimmed = Substring(path)
        while trimmed.count > 1, trimmed.hasSuffix("/") { trimmed.removeLast() }
        guard let slash = trimmed.lastIndex(of: "/"), trimmed != "/" else { return nil }
        return slash == trimmed.startIndex ? "/" : String(trimmed[..<slash])
    }

    /// The last component of a path.
    static func name(of path: String) -> String {
        path.split(separator: "/").last.map(String.init) ?? path
    }

    /// Names in a directory, sorted; none when it cannot be read.
    static func names(in path: String) -> [String] {
        guard let stream = opendir(path) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Removes a file or a whole tree without following links; what does not exist is no error.
    static func remove(_ path: String) throws(ArtifactError) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            guard unlink(path) == 0 || errno == ENOENT else { throw .errno("remove", path) }
            return
        }
        for name in names(in: path) { try remove("\(path)/\(name)") }
        guard rmdir(path) == 0 || errno == ENOENT else { throw .errno("remove", path) }
    }

    /// Waits until the names in a directory are on the disk.
    static func sync(_ path: String) throws(ArtifactError) {
        try OpenFile.directory(path).sync()
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }
}
