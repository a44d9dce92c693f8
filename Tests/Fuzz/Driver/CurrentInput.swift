import Foundation

/// The input that a child is at, in memory that its parent shares: it outlives a child that ends by a trap.
final class CurrentInput {
    /// Longest input that is kept.
    static let bytesMax = 1 << 20
    private let base: UnsafeMutableRawPointer

    /// Maps a file, which is made where there is none.
    init(path: String) throws {
        let descriptor = Glibc.open(path, O_RDWR | O_CREAT, 0o600)
        guard descriptor >= 0, ftruncate(descriptor, off_t(Self.bytesMax + 64)) == 0,
            let base = mmap(nil, Self.bytesMax + 64, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), base != MAP_FAILED
        else { throw CocoaError(.fileWriteUnknown) }
        Glibc.close(descriptor)
        self.base = base
    }

    deinit { munmap(base, Self.bytesMax + 64) }

    /// Inputs of this child that have begun.
    var count: Int {
        get { base.load(as: Int.self) }
        set { base.storeBytes(of: newValue, as: Int.self) }
    }

    private(set) var seed: UInt64 {
        get { base.load(fromByteOffset: 8, as: UInt64.self) }
        set { base.storeBytes(of: newValue, toByteOffset: 8, as: UInt64.self) }
    }

    var bytes: [UInt8] { Array(UnsafeRawBufferPointer(start: base + 64, count: base.load(fromByteOffset: 16, as: Int.self))) }

    /// Notes an input that is about to be tried.
    func begin(_ input: [UInt8], seed: UInt64) {
        let kept = min(input.count, Self.bytesMax)
        input.withUnsafeBytes { if let from = $0.baseAddress { (base + 64).copyMemory(from: from, byteCount: kept) } }
        base.storeBytes(of: kept, toByteOffset: 16, as: Int.self)
        self.seed = seed
        count += 1
    }
}
