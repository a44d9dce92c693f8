import Glibc

/// Zeroed, page-aligned memory of this process alone, which the system hands out as it is first touched.
package final class Arena {
    package let base: UnsafeMutableRawPointer
    private let byteCount: Int

    /// - Parameter what: what the memory is for, in errors.
    package init(byteCount: Int, for what: String) throws(BackendError) {
        self.byteCount = max(byteCount, 4096)
        let memory = mmap(nil, self.byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let memory, memory != MAP_FAILED else { throw .outOfMemory(what: what, bytes: byteCount) }
        madvise(memory, self.byteCount, MADV_HUGEPAGE)
        base = memory
    }

    /// Room for so many elements each, one after the other; all of them zero.
    ///
    /// - Throws: `outOfMemory` also where the sizes are beyond all memory.
    package convenience init(elements counts: [(Int, Int)], of elementBytes: Int, for what: String) throws(BackendError) {
        var total = 0
        for (rows, columns) in counts {
            let (count, overflow) = rows.multipliedReportingOverflow(by: columns)
            guard !overflow, count >= 0, count < 1 << 48, total < 1 << 48 else { throw .outOfMemory(what: what, bytes: .max) }
            total += Self.aligned(count * elementBytes)
        }
        try self.init(byteCount: total, for: what)
    }

    deinit { munmap(base, byteCount) }

    /// The next multiple of a cache line.
    package static func aligned(_ bytes: Int) -> Int { (bytes + 63) & ~63 }
}
