import Dispatch
import Glibc
import Plan
import Synchronization

extension [WeightEntry] {
    /// Reads packed weights once, on all cores, and compares their checksums; what lies between weights must be zero.
    ///
    /// - Parameter skipsResident: whether weights are left out whose pages are all in memory.
    /// - Returns: bytes of weights that were read; nil when a sum differs.
    func compareSums(in bytes: UnsafeRawBufferPointer, skipsResident: Bool = false) -> Int? {
        let pieces = map { Piece(bytes: UnsafeRawBufferPointer(rebasing: bytes[$0.offset..<$0.offset + $0.byteCount]), sum: $0.sum) }
            .sorted { $0.bytes.count > $1.bytes.count }
        let damaged = Atomic<Int>(0)
        let read = Atomic<Int>(0)
        DispatchQueue.concurrentPerform(iterations: pieces.count) { index in
            let piece = pieces[index]
            if skipsResident, piece.isResident { return }
            read.add(piece.bytes.count, ordering: .relaxed)
            if LineSum.of(piece.bytes) != piece.sum { damaged.add(1, ordering: .relaxed) }
        }
        guard damaged.load(ordering: .relaxed) == 0, skipsResident || hasZerosBetween(bytes) else { return nil }
        return read.load(ordering: .relaxed)
    }

    private func hasZerosBetween(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var end = 0
        for entry in sorted(by: { $0.offset < $1.offset }) {
            if entry.offset > end, bytes[end..<entry.offset].contains(where: { $0 != 0 }) { return false }
            end = Swift.max(end, entry.offset + entry.byteCount)
        }
        return bytes[end...].allSatisfy { $0 == 0 }
    }
}

/// Mapped memory that threads only read.
private struct Piece: @unchecked Sendable {
    let bytes: UnsafeRawBufferPointer
    let sum: UInt64

    /// Whether every page is in memory, so that nothing would be read from the disk.
    var isResident: Bool {
        let pages = (bytes.count + WeightEntry.alignment - 1) / WeightEntry.alignment
        let base = UnsafeMutableRawPointer(mutating: bytes.baseAddress)
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: pages) { found in
            mincore(base, bytes.count, found.baseAddress) == 0 && found.allSatisfy { $0 & 1 == 1 }
        }
    }
}

extension Artifact {
    /// Compares the checksum of every packed weight.
    ///
    /// The store that holds the artifact remembers the file whose sums held. As long as nothing has changed it, only weights that are not in
    /// memory are read again, so that what comes from the disk to be used is always compared.
    ///
    /// - Parameters:
    ///   - rereadsKnown: whether those are; else nothing is read of a file whose sums held.
    ///   - now: seconds since 1970.
    /// - Returns: bytes of weights that were read.
    /// - Throws: `damaged` when the bytes are not those that were written.
    @discardableResult
    package func checkWeights(rereadsKnown: Bool = true, now: Int = time(nil)) throws(ArtifactError) -> Int {
        let store = Store.around(path, trustsOthers: true)
        let before = try mapping.file.status()
        let (name, record) = ("\(before.st_dev)-\(before.st_ino)", record(before))
        let isKnown = store?.record(.sums, name) == record
        if isKnown, !rereadsKnown { return 0 }
        guard let read = weights.compareSums(in: weightBytes, skipsResident: isKnown) else {
            throw .damaged(path: path, section: SectionName.weights.path)
        }
        // Times have ticks: a file that changed just now may change again and show no other time.
        guard let store, !isKnown, before.st_ctim.tv_sec < now - 1, try self.record(mapping.file.status()) == record else { return read }
        try? store.setRecord(.sums, name, record)
        return read
    }

    /// What tells one state of `weights.bin` and of its sums from another.
    private func record(_ file: stat) -> [UInt8] {
        let times = [file.st_mtim, file.st_ctim].map { "\($0.tv_sec).\($0.tv_nsec)" }
        let table = manifest.sections[SectionName.weightTable.path]?.sha256 ?? ""
        return Array("\(file.st_size) \(times[0]) \(times[1]) \(table)\n".utf8)
    }
}
