import CKernels
import Glibc
import Tensors

/// The paged KV cache: for each layer the K blocks, then the V blocks.
final class KVStorage {
    let layout: KVLayout
    private(set) var blockSize = 0
    private(set) var blockCount = 0
    private var base: UnsafeMutableRawPointer?
    private var byteCount = 0
    /// Bytes of one token in the layers before each.
    private let starts: [Int]

    init(_ layout: KVLayout) {
        self.layout = layout
        starts = layout.layers.reduce(into: [0]) { $0.append($0[$0.count - 1] + layout.tokenBytes($1)) }
    }

    deinit { if let base { munmap(base, byteCount) } }

    /// Maps zeroed memory for `blockCount` blocks; false when there is none. Pages are touched as blocks are first used.
    func reserve(blockSize: Int, blockCount: Int) -> Bool {
        let (bytes, overflow) = layout.blockBytes(size: blockSize).multipliedReportingOverflow(by: blockCount)
        guard !overflow, bytes > 0 else { return false }
        let memory = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let memory, memory != MAP_FAILED else { return false }
        madvise(memory, bytes, MADV_HUGEPAGE)
        if let base { munmap(base, byteCount) }
        base = memory
        byteCount = bytes
        self.blockSize = blockSize
        self.blockCount = blockCount
        return true
    }

    /// The geometry of a layer that the kernels are told.
    func kernelLayout(_ layer: Int) -> vlm_kv_layout { kernelLayout(layer, blockSize: blockSize) }

    /// The geometry with blocks of so many tokens.
    func kernelLayout(_ layer: Int, blockSize: Int) -> vlm_kv_layout {
        let own = layout.layers[layer]
        var result = vlm_kv_layout()
        result.dtype = layout.element == .bf16 ? VLM_BF16 : VLM_F32
        result.kv_heads = Int64(own.heads)
        result.head_dim = Int64(own.headDim)
        result.block_size = Int64(blockSize)
        result.head_stride = Int64(own.headDim * blockSize)
        result.block_stride = Int64(own.width * blockSize)
        return result
    }

    /// Writes the keys and values of one block of all layers over those of another.
    func copyBlock(from source: Int, to target: Int) {
        precondition((0..<blockCount).contains(source) && (0..<blockCount).contains(target), "a block outside the cache")
        for layer in layout.layers.indices {
            let bytes = layout.tokenBytes(layout.layers[layer]) / 2 * blockSize
            for base in [keys(layer), values(layer)].compactMap(\.self) where source != target {
                memcpy(base + target * bytes, base + source * bytes, bytes)
            }
        }
    }

    /// Bytes of a block over all layers; 0 before there are some.
    var blockBytes: Int { layout.blockBytes(size: blockSize) }

    /// Copies a block into a buffer of `blockBytes`: for each layer its keys, then its values.
    func read(block: Int, into buffer: UnsafeMutableRawBufferPointer) {
        forEachPart(of: block, in: buffer.count) { place, part in
            UnsafeMutableRawBufferPointer(rebasing: buffer[place]).copyMemory(from: UnsafeRawBufferPointer(start: part, count: place.count))
        }
    }

    /// Writes over a block what `read` gave.
    func write(block: Int, from buffer: UnsafeRawBufferPointer) {
        forEachPart(of: block, in: buffer.count) { place, part in
            UnsafeMutableRawBufferPointer(start: part, count: place.count).copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[place]))
        }
    }

    private func forEachPart(of block: Int, in bytes: Int, _ body: (Range<Int>, UnsafeMutableRawPointer) -> Void) {
        precondition((0..<blockCount).contains(block) && bytes == blockBytes, "a block outside the cache")
        var start = 0
        for layer in layout.layers.indices {
            let count = layout.tokenBytes(layout.layers[layer]) / 2 * blockSize
            for base in [keys(layer), values(layer)] {
                if let base { body(start..<start + count, base + block * count) }
                start += count
            }
        }
    }

    func keys(_ layer: Int) -> UnsafeMutableRawPointer? { base.map { $0 + starts[layer] * blockSize * blockCount } }

    func values(_ layer: Int) -> UnsafeMutableRawPointer? {
        base.map { $0 + (starts[layer] + layout.tokenBytes(layout.layers[layer]) / 2) * blockSize * blockCount }
    }
}
