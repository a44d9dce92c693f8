internal import Execution
internal import Foundation
internal import Glibc

/// Reads and writes a folder's blocks on two threads of its own, through memory that it takes once.
///
/// One thread, the engine's, asks; it never waits for a disk before `close`. Who writes gives way to what computes.
final class BlockTraffic: @unchecked Sendable {
    /// A block that was asked for.
    struct Arrival {
        var key: ContentDigest
        /// Nil where the block cannot be had.
        var content: Arena?
    }

    /// Counts since the start.
    struct Counts: Sendable, Equatable {
        var read = 0
        var written = 0
        /// Blocks removed for others, and for their damage.
        var removed = 0
        var errors = 0
    }

    private struct Writing {
        var key: ContentDigest
        var parent: ContentDigest?
        var content: Arena
    }

    let folder: BlockFolder
    private let notify: @Sendable () -> Void
    private let condition = NSCondition()
    private var wanted: [ContentDigest] = []
    private var arrivals: [Arrival] = []
    private var writings: [Writing] = []
    private var roomToRead: [Arena] = []
    private var roomToWrite: [Arena] = []
    private var isWriting = false
    private var isClosed = false
    private var mayWrite = true
    private var messages: [String] = []
    private var messagesLeft = 8
    private var total = Counts()

    /// Memory for blocks on their way, in each direction, where that is enough for two.
    private static let bytesOnTheWay = 32 << 20

    /// - Parameter notify: called from a thread of its own when a block has arrived or was written.
    init(_ folder: BlockFolder, notify: @escaping @Sendable () -> Void) throws(BackendError) {
        self.folder = folder
        self.notify = notify
        let bytes = folder.kind.contentBytes
        let count = max(2, min(64, Self.bytesOnTheWay / max(bytes, 1)))
        for _ in 0..<count {
            roomToRead.append(try Arena(byteCount: bytes, for: "blocks on their way from the disk"))
            roomToWrite.append(try Arena(byteCount: bytes, for: "blocks on their way to the disk"))
        }
        arrivals.reserveCapacity(count)
        writings.reserveCapacity(count)
        let reader = Thread { self.readAll() }, writer = Thread { self.writeAll() }
        (reader.name, writer.name) = ("block reader", "block writer")
        reader.start()
        writer.start()
    }

    var counts: Counts { condition.withLock { total } }

    /// What an operator should know, each told once.
    func takeMessages() -> [String] {
        condition.withLock {
            defer { messages.removeAll() }
            return messages
        }
    }

    /// Has a block be read; what comes of it is an arrival.
    func read(_ key: ContentDigest) {
        condition.withLock {
            wanted.append(key)
            condition.broadcast()
        }
    }

    /// Forgets what is asked for and not yet read.
    func cancelReading() { condition.withLock { wanted.removeAll(keepingCapacity: true) } }

    /// The block that has arrived first; its memory goes back by `giveBack`.
    func takeArrival() -> Arrival? { condition.withLock { arrivals.isEmpty ? nil : arrivals.removeFirst() } }

    func giveBack(_ content: Arena) {
        condition.withLock {
            roomToRead.append(content)
            condition.broadcast()
        }
    }

    /// Memory for a block to write; nil where all is on its way, or nothing can be written.
    func takeRoom(until deadline: ContinuousClock.Instant? = nil) -> Arena? {
        condition.withLock {
            while mayWrite, roomToWrite.isEmpty, let deadline, ContinuousClock.now < deadline {
                _ = condition.wait(until: Date(timeIntervalSinceNow: 0.01))
            }
            guard mayWrite else { return nil }
            return roomToWrite.popLast()
        }
    }

    /// Takes back memory that `takeRoom` gave, unused.
    func returnRoom(_ room: Arena) { condition.withLock { roomToWrite.append(room) } }

    /// Has a block be written that was put into memory that `takeRoom` gave.
    func write(_ key: ContentDigest, behind parent: ContentDigest?, _ content: Arena) {
        condition.withLock {
            writings.append(Writing(key: key, parent: parent, content: content))
            condition.broadcast()
        }
    }

    /// Ends both threads; what is to be written is, up to the deadline.
    func close(until deadline: ContinuousClock.Instant) {
        condition.withLock {
            wanted.removeAll()
            while mayWrite, isWriting || !writings.isEmpty, ContinuousClock.now < deadline {
                _ = condition.wait(until: Date(timeIntervalSinceNow: 0.01))
            }
            writings.removeAll()
            isClosed = true
            condition.broadcast()
        }
        folder.noteUses(until: deadline)
    }

    private func readAll() {
        while let (key, content) = nextToRead() {
            let buffer = UnsafeMutableRawBufferPointer(start: content.base, count: folder.kind.contentBytes)
            var fault: BlockFolderError?
            var isThere = false
            do throws(BlockFolderError) { isThere = try folder.read(key, into: buffer) } catch { fault = error }
            condition.withLock {
                if let fault { tell("\(fault)") }
                if isThere { total.read += 1 } else { roomToRead.append(content) }
                if fault != nil { total.removed += 1 }
                arrivals.append(Arrival(key: key, content: isThere ? content : nil))
            }
            notify()
        }
    }

    private func nextToRead() -> (ContentDigest, Arena)? {
        condition.withLock {
            while !isClosed, wanted.isEmpty || roomToRead.isEmpty { condition.wait() }
            guard !isClosed, let content = roomToRead.popLast() else { return nil }
            return (wanted.removeFirst(), content)
        }
    }

    private func writeAll() {
        // Of this thread alone.
        setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 10)
        while let next = nextToWrite() {
            var fault: BlockFolderError?
            var done = (isWritten: false, gone: 0)
            let bytes = UnsafeRawBufferPointer(start: next.content.base, count: folder.kind.contentBytes)
            do throws(BlockFolderError) { done = try folder.write(next.key, behind: next.parent, bytes) } catch { fault = error }
            condition.withLock {
                if let fault {
                    tell("\(fault); no more blocks are written, those that are there are read")
                    mayWrite = false
                    writings.removeAll()
                }
                if done.isWritten { total.written += 1 }
                total.removed += done.gone
                isWriting = false
                roomToWrite.append(next.content)
                condition.broadcast()
            }
            notify()
        }
    }

    private func nextToWrite() -> Writing? {
        condition.withLock {
            while !isClosed, writings.isEmpty { condition.wait() }
            guard !isClosed else { return nil }
            isWriting = true
            return writings.removeFirst()
        }
    }

    private func tell(_ message: String) {
        total.errors += 1
        guard messagesLeft > 0 else { return }
        messagesLeft -= 1
        messages.append(message + (messagesLeft == 0 ? "; further ones are only counted" : ""))
    }
}
