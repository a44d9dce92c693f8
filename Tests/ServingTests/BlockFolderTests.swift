import Foundation
import Serving
import Testing

/// Files of blocks: what is written is read again, and nothing else.
@Suite struct BlockFolderTests {
    private let folder = TemporaryFolder()
    private static let bytes = 5000

    private func kind(_ identity: String = "a model", bytes: Int = Self.bytes) -> BlockKind {
        BlockKind(identity: ContentDigest { $0.update(identity) }, blockSize: 16, layers: 2, elementBytes: 2, contentBytes: bytes)
    }

    private func key(_ number: Int) -> ContentDigest { ContentDigest { $0.update(number) } }

    private func content(_ number: Int) -> [UInt8] { (0..<Self.bytes).map { UInt8(truncatingIfNeeded: $0 * 7 + number) } }

    private func open(_ identity: String = "a model", bytesMax: Int = 1 << 20, patience: Duration = .zero) throws -> BlockFolder {
        try BlockFolder(folder.path, kind: kind(identity), bytesMax: bytesMax, patience: patience)
    }

    @discardableResult
    private func write(_ number: Int, behind parent: Int? = nil, to blocks: BlockFolder) throws -> (isWritten: Bool, gone: Int) {
        try content(number).withUnsafeBytes { bytes in
            try Result { () throws(BlockFolderError) in try blocks.write(key(number), behind: parent.map(key), bytes) }.get()
        }
    }

    /// Nil where the block is not there.
    private func read(_ number: Int, from blocks: BlockFolder) throws -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: Self.bytes)
        let isThere = try bytes.withUnsafeMutableBytes { buffer in
            try Result { () throws(BlockFolderError) in try blocks.read(key(number), into: buffer) }.get()
        }
        return isThere ? bytes : nil
    }

    @Test func whatIsWrittenIsThereInTheNextLife() throws {
        try {
            let blocks = try open()
            try write(1, to: blocks)
            try write(2, behind: 1, to: blocks)
            #expect(try write(2, behind: 1, to: blocks) == (false, 0))
            #expect(try read(2, from: blocks) == content(2))
        }()
        #expect(try folder.mode("") == 0o700 && folder.files.allSatisfy { try folder.mode($0) == ($0.utf8.count == 32 ? 0o700 : 0o600) })
        let blocks = try open()
        #expect(blocks.size == (blocks: 2, bytes: 16384))
        #expect(try read(1, from: blocks) == content(1) && read(2, from: blocks) == content(2) && read(3, from: blocks) == nil)
        #expect(blocks.use([key(1), key(3), key(2)]) == [true, false, true])
    }

    @Test func noBlockIsReadForAnotherKind() throws {
        try write(1, to: try open())
        let other = try open("another model")
        #expect(try read(1, from: other) == nil && other.size.blocks == 1, "its bytes count all the same")
    }

    @Test func aFileOfAnotherKindUnderThisOnesNameIsRemoved() throws {
        try write(1, to: try open())
        let file = try #require(folder.blocks.first)
        let bytes = folder.bytes(file)
        let own = String(kind("another model").identity.hex.prefix(32))
        try FileManager.default.createDirectory(atPath: "\(folder.path)/\(own)", withIntermediateDirectories: false)
        try folder.write(bytes, "\(own)/\(BlockName.text(key(1), behind: nil))")
        let other = try open("another model")
        #expect(throws: BlockFolderError.self) { try read(1, from: other) }
        #expect(folder.blocks == [file] && other.size.blocks == 1)
    }

    /// Whatever becomes of a file, its content is right, or it is not there any more.
    @Test(arguments: Array(stride(from: 0, to: 256, by: 5)) + [256, 700, 5255]) func aChangedByteIsFound(place: Int) throws {
        try write(1, to: try open())
        let file = try #require(folder.blocks.first)
        var bytes = folder.bytes(file)
        bytes[place] ^= 0x10
        try folder.write(bytes, file)
        let blocks = try open()
        let error = #expect(throws: BlockFolderError.self) { try read(1, from: blocks) }
        #expect(error.map { "\($0)" }?.hasPrefix("removed \(folder.path)/\(file): ") == true)
        #expect(folder.blocks.isEmpty && blocks.size == (blocks: 0, bytes: 0))
        #expect(try read(1, from: blocks) == nil)
        try write(1, to: blocks)
        #expect(try read(1, from: blocks) == content(1))
    }

    @Test(arguments: [0, 1, 255, 256, 5255, 5257]) func anotherLengthIsFound(count: Int) throws {
        try write(1, to: try open())
        let file = try #require(folder.blocks.first)
        try folder.write(Array((folder.bytes(file) + [1]).prefix(count)), file)
        let blocks = try open()
        #expect(throws: BlockFolderError.self) { try read(1, from: blocks) }
        #expect(folder.blocks.isEmpty)
    }

    @Test func aBlockUnderAnotherNameAndWhatIsNoFileAreNotRead() throws {
        try write(1, to: try open())
        let file = try #require(folder.blocks.first)
        let place = file.prefix(33)
        try FileManager.default.moveItem(atPath: "\(folder.path)/\(file)", toPath: "\(folder.path)/\(place)\(BlockName.text(key(2), behind: nil))")
        try FileManager.default.createSymbolicLink(
            atPath: "\(folder.path)/\(place)\(BlockName.text(key(3), behind: nil))", withDestinationPath: "/dev/zero")
        try FileManager.default.createDirectory(
            atPath: "\(folder.path)/\(place)\(BlockName.text(key(4), behind: nil))", withIntermediateDirectories: false)
        let blocks = try open()
        #expect(blocks.size.blocks == 1)
        #expect(throws: BlockFolderError.self) { try read(2, from: blocks) }
        #expect(try read(3, from: blocks) == nil && read(4, from: blocks) == nil)
    }

    @Test func aFileThatIsGoneIsNotThere() throws {
        let blocks = try open()
        try write(1, to: blocks)
        for file in folder.blocks { try FileManager.default.removeItem(atPath: "\(folder.path)/\(file)") }
        #expect(try read(1, from: blocks) == nil && blocks.size.blocks == 0)
    }

    @Test func theBytesStayWithinTheirBound() throws {
        let file = 8192
        try {
            let blocks = try open("another model")
            try write(9, to: blocks)
        }()
        try {
            let blocks = try open(bytesMax: 3 * file)
            for number in 1...5 {
                try write(number, behind: number == 5 ? 4 : nil, to: blocks)
                #expect(blocks.size.bytes <= 3 * file && folder.blocks.count <= 3 && blocks.violation == nil)
            }
            #expect(!blocks.holds(key(2)) && !blocks.holds(key(9)))
            for number in 3...5 { #expect(try read(number, from: blocks) == content(number)) }
        }()
        // With less room what was used least goes, and with it the folder of a kind that has no more.
        let fewer = try open(bytesMax: 2 * file)
        #expect(fewer.size == (blocks: 2, bytes: 2 * file) && !fewer.holds(key(3)) && folder.blocks.count == 2)
        #expect(folder.files.count { $0.utf8.count == 32 } == 1)
    }

    @Test func usesOutliveTheProcess() throws {
        try {
            let blocks = try open()
            for number in 1...3 {
                try write(number, to: blocks)
                usleepMilliseconds(5)
            }
            _ = blocks.use([key(1)])
            usleepMilliseconds(5)
            blocks.noteUses(until: .now + .seconds(5))
        }()
        let blocks = try open(bytesMax: 2 * 8192)
        #expect(blocks.holds(key(1)) && !blocks.holds(key(2)) && blocks.holds(key(3)))
    }

    @Test func oneHasTheDirectoryAtATime() throws {
        var first: BlockFolder? = try open()
        let error = #expect(throws: BlockFolderError.self) { try open(patience: .milliseconds(50)) }
        #expect(error.map { "\($0)" } == "--kv-cache-dir: another server has \(folder.path), and did not leave it in 0.05 s; give each server a directory of its own")
        #expect(first != nil)
        first = nil
        _ = try open()
    }

    @Test func oneThatComesWaitsForTheOneThatGoes() throws {
        let first = Held(try open())
        Thread.detachNewThread {
            usleepMilliseconds(60)
            first.folder = nil
        }
        _ = try open(patience: .seconds(20))
    }

    private final class Held: @unchecked Sendable {
        var folder: BlockFolder?
        init(_ folder: BlockFolder) { self.folder = folder }
    }

    @Test func aDirectoryOfOthersIsRefused() throws {
        try FileManager.default.createDirectory(atPath: folder.path, withIntermediateDirectories: true)
        chmod(folder.path, 0o770)
        let error = #expect(throws: BlockFolderError.self) { try open() }
        #expect(
            error.map { "\($0)" }
                == "--kv-cache-dir: \(folder.path) may be written to by others, and who writes there decides the answers; name a directory of this user's own (chmod go-w)")
        chmod(folder.path, 0o755)
        _ = try open()
        chmod(folder.path + "/" + kind().identity.hex.prefix(32), 0o702)
        #expect(throws: BlockFolderError.self) { try open() }
    }

    @Test func whatCannotBeIsSaid() throws {
        var error = #expect(throws: BlockFolderError.self) { try open(bytesMax: 8191) }
        #expect(error.map { "\($0)" } == "--kv-cache-dir-size 8191 is less than one block of 8192 bytes in \(folder.path)")
        error = #expect(throws: BlockFolderError.self) { try BlockFolder("\(folder.path)/a/b", kind: kind(), bytesMax: 1 << 20) }
        #expect(error.map { "\($0)" } == "--kv-cache-dir: cannot create \(folder.path)/a/b: No such file or directory")
        let blocks = try open()
        try FileManager.default.removeItem(atPath: folder.path)
        error = #expect(throws: BlockFolderError.self) { try write(1, to: blocks) }
        #expect(error.map { "\($0)" }?.hasPrefix("--kv-cache-dir: cannot open ") == true && !blocks.holds(key(1)))
    }

    @Test func whatWasNotFinishedGoes() throws {
        try write(1, to: try open())
        let place = try #require(folder.blocks.first).prefix(33)
        try folder.write([1, 2, 3], "\(place)unfinished")
        try folder.write([1, 2, 3], "\(place)mine")
        _ = try open()
        #expect(!folder.files.contains("\(place)unfinished") && folder.files.contains("\(place)mine"))
    }

    @Test func aHeaderIsReadAsItWasWritten() throws {
        let header = BlockHeader(kind: kind(), key: key(1), parent: key(2), content: key(3))
        var bytes = [UInt8](repeating: 0xAA, count: BlockHeader.byteCount)
        bytes.withUnsafeMutableBytes { header.write(to: $0) }
        let read = try bytes.withUnsafeBytes { bytes in try Result { () throws(BlockFault) in try BlockHeader(reading: bytes) }.get() }
        #expect(read == header)
        #expect(bytes.prefix(16).map { String($0, radix: 16) }.joined(separator: " ") == "56 4c 4d 4b 56 42 4c 4b 1 0 0 0 0 1 0 0")
        for (name, expected) in [
            (BlockName.text(key(1), behind: key(2)), key(2) as ContentDigest?), (BlockName.text(key(1), behind: nil), nil),
        ] {
            let found = try #require(BlockName.read(name))
            #expect(found.key == key(1) && found.parent == expected)
        }
        for name in ["", "lock", key(1).hex, key(1).hex.uppercased() + "-" + key(1).hex, key(1).hex + "-" + key(1).hex + "-"] {
            #expect(BlockName.read(name) == nil, "\(name)")
        }
    }
}
