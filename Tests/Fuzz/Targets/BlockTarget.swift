import Foundation
import Seeded
import Serving

extension FuzzTarget {
    /// Files of stored blocks: one that is taken holds the content whose digest its header says, and is what would be written for it. The name is
    /// that of the key that the file says, or one of the input's own bytes.
    static let block = FuzzTarget("block", secondsMax: 2) { dice, corpus in
        let file = dice.pick(corpus) ?? []
        guard dice.once(in: 3), file.count >= BlockHeader.byteCount else { return ByteMutation.apply(file, &dice, corpus: corpus, words: blockWords) }
        // Other fields under a sum that agrees again.
        var head = Array(file[..<BlockHeader.byteCount])
        for _ in 0...dice.below(3) { head[dice.below(BlockHeader.byteCount)] = dice.pick([0, 1, 0x7F, 0x80, 0xFF]) ?? 0 }
        let sum = head[..<(BlockHeader.byteCount - ContentDigest.byteCount)].withUnsafeBytes { ContentDigest(sha256Of: $0) }
        head.withUnsafeMutableBytes { sum.write(to: UnsafeMutableRawBufferPointer(rebasing: $0[(BlockHeader.byteCount - ContentDigest.byteCount)...])) }
        return head + file[BlockHeader.byteCount...]
    } check: { input in
        if let name = BlockName.read(String(decoding: input.prefix(129), as: UTF8.self)), BlockName.text(name.key, behind: name.parent).utf8.count != 129 {
            throw Finding("a name is read that is not written")
        }
        guard let header = input.withUnsafeBytes({ try? BlockHeader(reading: $0) }) else { return }
        var head = [UInt8](repeating: 0, count: BlockHeader.byteCount)
        head.withUnsafeMutableBytes { header.write(to: $0) }
        guard head.elementsEqual(input.prefix(BlockHeader.byteCount)) else { throw Finding("a header is read that is not written") }
        try open(input, header)
    }

    /// Puts the file where a folder of its kind finds it.
    private static func open(_ input: [UInt8], _ header: BlockHeader) throws {
        guard header.kind.contentBytes <= 1 << 20 else { return }
        let path = "\(NSTemporaryDirectory())/fuzz-\(getpid())-block", files = FileManager.default
        defer { try? files.removeItem(atPath: path) }
        let name = "\(header.kind.identity.hex.prefix(32))/\(BlockName.text(header.key, behind: header.parent))"
        try files.createDirectory(atPath: "\(path)/\(header.kind.identity.hex.prefix(32))", withIntermediateDirectories: true)
        _ = files.createFile(atPath: "\(path)/\(name)", contents: Data(input))
        let folder = try BlockFolder(path, kind: header.kind, bytesMax: 1 << 22)
        var content = [UInt8](repeating: 0, count: header.kind.contentBytes)
        let isTaken = content.withUnsafeMutableBytes { buffer in (try? folder.read(header.key, into: buffer)) == true }
        let isRight = content.withUnsafeBytes { ContentDigest(sha256Of: $0) } == header.content && input.count == BlockHeader.byteCount + content.count
        guard isTaken == (isRight && content.elementsEqual(input.dropFirst(BlockHeader.byteCount))) else {
            throw Finding("the block is \(isTaken ? "taken" : "refused"), its digest is \(isRight ? "right" : "wrong")")
        }
        guard isTaken == files.fileExists(atPath: "\(path)/\(name)") else { throw Finding("a block that is refused stays, or one that is taken goes") }
    }

    private static let blockWords = ["VLMKVBLK", "\u{0}\u{0}\u{0}\u{0}", "\u{1}\u{0}\u{0}\u{0}", String(repeating: "0", count: 64) + "-", "ffffffff"]
}
