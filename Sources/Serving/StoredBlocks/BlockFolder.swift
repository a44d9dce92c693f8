internal import Glibc
internal import Synchronization

/// The files of stored blocks: one for each, in a folder for each kind, in a directory that one process at a time has.
///
/// What a file holds is believed once its header says that it is of this kind and under this key, and its content has the digest that the
/// header names. Files that fail are removed. Several threads may call; one writes.
package final class BlockFolder: Sendable {
    package let path: String
    package let kind: BlockKind
    package let bytesMax: Int
    private let keeper: Mutex<BlockKeeper>
    private let directory: Descriptor
    private let own: Descriptor
    /// Held locked as long as the folder is.
    private let lock: Descriptor
    /// Names of the folders, by the numbers that the keeper knows them by.
    private let folders: [String]

    /// Most bytes of blocks that a directory takes where nothing is said.
    package static let bytesMaxDefault = 8 << 30
    private static let unfinished = "unfinished"
    private static let lockName = "lock"

    /// Opens the directory, makes it where it does not exist, and looks through the names in it.
    ///
    /// - Parameters:
    ///   - bytesMax: most bytes of all blocks there, of other kinds too; what is more is removed, the least recently used first.
    ///   - patience: how long to wait for another process that has the directory.
    package init(_ path: String, kind: BlockKind, bytesMax: Int, patience: Duration = .seconds(10)) throws(BlockFolderError) {
        (self.path, self.kind, self.bytesMax) = (path, kind, bytesMax)
        let least = Self.charge(BlockHeader.byteCount + kind.contentBytes)
        guard bytesMax >= least else { throw .tooSmall(path: path, bytes: bytesMax, blockBytes: least) }
        if mkdir(path, 0o700) != 0, errno != EEXIST { throw .system("create", path) }
        directory = try Descriptor(path, in: nil, O_RDONLY | O_DIRECTORY)
        try directory.requireOwn(path)
        lock = try Descriptor(Self.lockName, in: directory, O_RDWR | O_CREAT | O_NOFOLLOW, shown: "\(path)/\(Self.lockName)")
        try lock.lock(path, patience: patience)
        let ownName = String(kind.identity.hex.prefix(32))
        let shown = "\(path)/\(ownName)"
        if mkdirat(directory.number, ownName, 0o700) != 0, errno != EEXIST { throw .system("create", shown) }
        own = try Descriptor(ownName, in: directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, shown: shown)
        try own.requireOwn(shown)
        var keeper = BlockKeeper(bytesMax: bytesMax)
        var found: [FoundBlock] = []
        var folders = [ownName]
        for name in directory.names where name.utf8.count == 32 && name.utf8.allSatisfy({ $0 < 0x3A && $0 > 0x2F || $0 > 0x60 && $0 < 0x67 }) {
            guard let folder = try? Descriptor(name, in: directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW) else { continue }
            let number = name == ownName ? 0 : folders.count
            if number > 0 { folders.append(name) }
            unlinkat(folder.number, Self.unfinished, 0)
            found += folder.blocks(kind: Int32(number))
        }
        for block in found.sorted(by: { $0.time < $1.time }) {
            keeper.insert(block.name, behind: block.parent, bytes: Self.charge(block.bytes))
        }
        self.folders = folders
        let tooMany = keeper.makeRoom(for: 0).gone
        self.keeper = Mutex(keeper)
        for (name, parent) in tooMany { try unlink(name, parent) }
        // Folders of other kinds that are empty now go too.
        for folder in folders.dropFirst() { unlinkat(directory.number, folder, AT_REMOVEDIR) }
    }

    /// Throws where a directory cannot be used, before there are blocks to keep; leaves no trace.
    package static func check(_ path: String) throws(BlockFolderError) {
        guard access(path, F_OK) == 0 else {
            let parent = path.split(separator: "/").dropLast().joined(separator: "/")
            let folder = path.hasPrefix("/") ? "/" + parent : parent.isEmpty ? "." : parent
            guard access(folder, W_OK | X_OK) == 0 else { throw .system("create", path) }
            return
        }
        try Descriptor(path, in: nil, O_RDONLY | O_DIRECTORY).requireOwn(path)
        guard access(path, W_OK | X_OK) == 0 else { throw .system("write to", path) }
    }

    /// Blocks there, of this kind and others, and their bytes.
    package var size: (blocks: Int, bytes: Int) { keeper.withLock { ($0.count, $0.byteCount) } }

    package func holds(_ key: ContentDigest) -> Bool { keeper.withLock { $0.holds(BlockKeeper.Name(key: key)) } }

    /// Counts the blocks of a chain that are there as used; says of each whether it is.
    package func use(_ chain: [ContentDigest]) -> [Bool] {
        keeper.withLock { keeper in chain.map { keeper.use(BlockKeeper.Name(key: $0)) } }
    }

    /// Reads a block's content; false where it is not there.
    ///
    /// - Parameter buffer: of the kind's `contentBytes`.
    /// - Throws: for a file that is damaged, which is removed.
    package func read(_ key: ContentDigest, into buffer: UnsafeMutableRawBufferPointer) throws(BlockFolderError) -> Bool {
        let name = BlockKeeper.Name(key: key)
        guard let parent = keeper.withLock({ $0.holds(name) ? .some($0.parent(of: name)) : nil }) else { return false }
        let file = BlockName.text(key, behind: parent)
        do throws(BlockFault) {
            let opened = Descriptor(opening: file, in: own, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
            guard let opened else {
                let code = errno
                guard code == ENOENT else { throw BlockFault("it cannot be opened: \(String(cString: strerror(code)))") }
                // Somebody has removed it.
                keeper.withLock { $0.remove(name) }
                return false
            }
            try check(opened, key, parent, into: buffer)
            futimens(opened.number, nil)
            keeper.withLock { _ = $0.use(name, isSeen: true) }
            return true
        } catch {
            keeper.withLock { $0.remove(name) }
            unlinkat(own.number, file, 0)
            throw .damaged(path: "\(path)/\(folders[0])/\(file)", reason: error.description)
        }
    }

    private func check(
        _ file: Descriptor, _ key: ContentDigest, _ parent: ContentDigest?, into buffer: UnsafeMutableRawBufferPointer
    ) throws(BlockFault) {
        guard let status = file.status, status.st_mode & S_IFMT == S_IFREG else { throw BlockFault("it is no regular file") }
        guard Int(status.st_size) == BlockHeader.byteCount + kind.contentBytes, buffer.count == kind.contentBytes else {
            throw BlockFault("it has \(status.st_size) bytes instead of \(BlockHeader.byteCount + kind.contentBytes)")
        }
        let head = UnsafeMutableRawBufferPointer.allocate(byteCount: BlockHeader.byteCount, alignment: 16)
        defer { head.deallocate() }
        guard file.read(into: head, at: 0), file.read(into: buffer, at: BlockHeader.byteCount) else { throw BlockFault("it cannot be read to its end") }
        let header = try BlockHeader(reading: UnsafeRawBufferPointer(head))
        guard header.kind == kind else { throw BlockFault("it is of another model, or was computed otherwise") }
        guard header.key == key, header.parent == parent else { throw BlockFault("it is the block of another name") }
        guard header.content == ContentDigest(sha256Of: UnsafeRawBufferPointer(buffer)) else { throw BlockFault("its content has another digest than its header says") }
    }

    /// Writes a block, for which others may have to go; not where it is there already, or where those that lead to it leave it no room.
    ///
    /// - Returns: whether it was written, and how many went.
    package func write(
        _ key: ContentDigest, behind parent: ContentDigest?, _ content: UnsafeRawBufferPointer
    ) throws(BlockFolderError) -> (isWritten: Bool, gone: Int) {
        precondition(content.count == kind.contentBytes, "not a block of this kind")
        let name = BlockKeeper.Name(key: key)
        guard !holds(key) else { return (false, 0) }
        let bytes = Self.charge(BlockHeader.byteCount + content.count)
        let room = keeper.withLock { $0.makeRoom(for: bytes, behind: parent.map { BlockKeeper.Name(key: $0) }) }
        for (name, parent) in room.gone { try unlink(name, parent) }
        guard room.isEnough else { return (false, room.gone.count) }
        let file = BlockName.text(key, behind: parent)
        do throws(BlockFolderError) {
            let opened = try Descriptor(Self.unfinished, in: own, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, shown: "\(path)/\(folders[0])/\(file)")
            let head = UnsafeMutableRawBufferPointer.allocate(byteCount: BlockHeader.byteCount, alignment: 16)
            defer { head.deallocate() }
            BlockHeader(kind: kind, key: key, parent: parent, content: ContentDigest(sha256Of: content)).write(to: head)
            guard opened.write(UnsafeRawBufferPointer(head)), opened.write(content) else { throw .system("write", path) }
            guard renameat(own.number, Self.unfinished, own.number, file) == 0 else { throw .system("rename a block in", path) }
        } catch {
            unlinkat(own.number, Self.unfinished, 0)
            throw error
        }
        keeper.withLock { $0.insert(name, behind: parent, bytes: bytes) }
        return (true, room.gone.count)
    }

    /// Has the files' times tell which blocks were used since they were written or read, for whoever opens the directory next.
    package func noteUses(until deadline: ContinuousClock.Instant) {
        for (name, parent) in keeper.withLock({ $0.takeUsedUnseen() }) {
            guard ContinuousClock.now < deadline else { return }
            utimensat(own.number, BlockName.text(name.key, behind: parent), nil, AT_SYMLINK_NOFOLLOW)
        }
    }

    private func unlink(_ name: BlockKeeper.Name, _ parent: ContentDigest?) throws(BlockFolderError) {
        let file = "\(folders[Int(name.kind)])/\(BlockName.text(name.key, behind: parent))"
        guard unlinkat(directory.number, file, 0) == 0 || errno == ENOENT else { throw .system("remove", "\(path)/\(file)") }
    }

    /// What a file takes of a disk that gives out pages.
    private static func charge(_ bytes: Int) -> Int { (bytes + 4095) & ~4095 }

    package var violation: String? { keeper.withLock { $0.byteCount > bytesMax ? "\($0.byteCount) bytes are too many" : $0.violation } }
}

/// Why a directory of blocks cannot be used, or a block not be read or written.
package enum BlockFolderError: Error, Sendable, CustomStringConvertible {
    case tooSmall(path: String, bytes: Int, blockBytes: Int)
    case untrusted(path: String, reason: String)
    case inUse(path: String, seconds: Double)
    /// A block that was removed, therefore.
    case damaged(path: String, reason: String)
    case system(operation: String, path: String, code: Int32)

    /// The error that `errno` holds after a failed call.
    static func system(_ operation: String, _ path: String) -> BlockFolderError { .system(operation: operation, path: path, code: errno) }

    package var description: String {
        switch self {
        case .tooSmall(let path, let bytes, let blockBytes):
            "--kv-cache-dir-size \(bytes) is less than one block of \(blockBytes) bytes in \(path)"
        case .untrusted(let path, let reason):
            "--kv-cache-dir: \(path) \(reason), and who writes there decides the answers; name a directory of this user's own (chmod go-w)"
        case .inUse(let path, let seconds):
            "--kv-cache-dir: another server has \(path), and did not leave it in \(seconds) s; give each server a directory of its own"
        case .damaged(let path, let reason): "removed \(path): \(reason)"
        case .system(let operation, let path, let code): "--kv-cache-dir: cannot \(operation) \(path): \(String(cString: strerror(code)))"
        }
    }
}

/// A block that a folder's names tell of.
private struct FoundBlock {
    var name: BlockKeeper.Name
    var parent: ContentDigest?
    var bytes: Int
    /// Nanoseconds since 1970 of its last use.
    var time: Int
}

/// A file descriptor that closes itself; what it opens or makes is its user's alone.
private final class Descriptor: Sendable {
    let number: Int32

    /// Nil where `errno` says why.
    init?(opening name: String, in folder: Descriptor?, _ flags: Int32) {
        number = Self.open(name, folder, flags)
        guard number >= 0 else { return nil }
    }

    init(_ name: String, in folder: Descriptor?, _ flags: Int32, shown: String? = nil) throws(BlockFolderError) {
        number = Self.open(name, folder, flags)
        guard number >= 0 else { throw .system("open", shown ?? name) }
    }

    private static func open(_ name: String, _ folder: Descriptor?, _ flags: Int32) -> Int32 {
        while true {
            let number = openat(folder?.number ?? AT_FDCWD, name, flags | O_CLOEXEC, 0o600)
            if number >= 0 || errno != EINTR { return number }
        }
    }

    deinit { if number >= 0 { close(number) } }

    var status: stat? {
        var status = stat()
        return fstat(number, &status) == 0 ? status : nil
    }

    /// Throws where another user may write.
    func requireOwn(_ shown: String) throws(BlockFolderError) {
        guard let status else { throw .system("inspect", shown) }
        guard status.st_uid == geteuid() || status.st_uid == 0 else { throw .untrusted(path: shown, reason: "belongs to user \(status.st_uid)") }
        guard status.st_mode & (S_IWGRP | S_IWOTH) == 0 else { throw .untrusted(path: shown, reason: "may be written to by others") }
    }

    /// Takes the lock that ends with the descriptor or its process.
    func lock(_ shown: String, patience: Duration) throws(BlockFolderError) {
        let deadline = ContinuousClock.now + patience
        while flock(number, LOCK_EX | LOCK_NB) != 0 {
            guard errno == EWOULDBLOCK || errno == EINTR else { throw .system("lock", shown) }
            guard ContinuousClock.now < deadline else { throw .inUse(path: shown, seconds: patience.seconds) }
            usleep(20_000)
        }
    }

    /// Reads as many bytes as the buffer has; false where there are fewer.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) -> Bool {
        var filled = 0
        while filled < buffer.count, let base = buffer.baseAddress {
            let count = pread(number, base + filled, buffer.count - filled, off_t(offset + filled))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            filled += count
        }
        return true
    }

    /// Writes all bytes; false where `errno` says why not.
    func write(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var done = 0
        while done < bytes.count, let base = bytes.baseAddress {
            let count = Glibc.write(number, base + done, min(bytes.count - done, 1 << 30))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            done += count
        }
        return true
    }

    /// Names in the directory, in no order.
    var names: [String] {
        guard let copy = Descriptor(opening: ".", in: self, O_RDONLY | O_DIRECTORY) else { return [] }
        let number = fcntl(copy.number, F_DUPFD_CLOEXEC, 0)
        guard number >= 0, let stream = fdopendir(number) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            names.append(withUnsafeBytes(of: &entry.pointee.d_name) { bytes in String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self) })
        }
        return names
    }

    /// Regular files whose names are those of blocks.
    func blocks(kind: Int32) -> [FoundBlock] {
        names.compactMap { name in
            var status = stat()
            guard let (key, parent) = BlockName.read(name), fstatat(number, name, &status, AT_SYMLINK_NOFOLLOW) == 0,
                status.st_mode & S_IFMT == S_IFREG
            else { return nil }
            let time = Int(status.st_mtim.tv_sec) &* 1_000_000_000 &+ Int(status.st_mtim.tv_nsec)
            return FoundBlock(name: BlockKeeper.Name(kind: kind, key: key), parent: parent, bytes: min(Int(status.st_size), 1 << 36), time: time)
        }
    }
}
