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

    init(_ layout: KVLayout) { self.layout = layout }

    deinit { if let base { munmap(base, byteCount) } }

    /// Maps zeroed memory for `blockCount` blocks; false when there is none. Pages are touched as blocks are first used.
    func reserve(blockSize: Int, blockCount: Int) -> Bool {
        let (bytes, overflow) = layout.blockBytes(size: blockSize).multipliedReportingOverflow(by: blockCount)
        guard !overflow, bytes > 0 else { return false }
        let memory = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let memory, memory != MAP_FAILED else { return false }
        if let base { munmap(base, byteCount) }
        base = memory
        byteCount = bytes
        self.blockSize = blockSize
        self.blockCount = blockCount
        return true
    }

    /// The geometry that the kernels are told.
    var kernelLayout: vlm_kv_layout { kernelLayout(blockSize: blockSize) }

    /// The geometry with blocks of so many tokens.
    func kernelLayout(blockSize: Int) -> vlm_kv_layout {
        var result = vlm_kv_layout()
        result.dtype = layout.element == .bf16 ? VLM_BF16 : VLM_F32
        result.kv_heads = Int64(layout.heads)
        result.head_dim = Int64(layout.headDim)
        result.block_size = Int64(blockSize)
        result.head_stride = Int64(layout.headDim * blockSize)
        result.block_stride = Int64(layout.heads * layout.headDim * blockSize)
        return result
    }

    func keys(_ layer: Int) -> UnsafeMutableRawPointer? { base.map { $0 + 2 * layer * halfLayerBytes } }

    func values(_ layer: Int) -> UnsafeMutableRawPointer? { base.map { $0 + (2 * layer + 1) * halfLayerBytes } }

    private var halfLayerBytes: Int {
        layout.heads * layout.headDim * blockSize * blockCount * layout.element.byteCount
    }
}
