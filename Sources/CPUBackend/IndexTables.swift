import ArtifactFormat
import Execution
import Plan

/// The packed weights that steps read.
protocol WeightMemory {
    /// In the order of the slots' numbers.
    var entries: [WeightEntry] { get }

    func bytes(_ index: Int) -> UnsafeRawBufferPointer

    /// A weight of index layout, which nothing changes any more.
    func table(_ index: Int) throws(BackendError) -> UnsafeBufferPointer<Int32>
}

/// The weights of an artifact, as they are mapped.
struct ArtifactWeights: WeightMemory {
    let artifact: Artifact
    let indices: IndexTables

    var entries: [WeightEntry] { artifact.weights }

    func bytes(_ index: Int) -> UnsafeRawBufferPointer { artifact.weightBytes(index) }

    func table(_ index: Int) throws(BackendError) -> UnsafeBufferPointer<Int32> { try indices.table(index, of: artifact) }
}

/// Copies of the weights that kernels take for indices.
///
/// The mapping of `weights.bin` shows what others write to the file while a model runs. Numbers may change under a kernel and do no
/// more than change answers; an index must stay as it was when it was checked, so that it is copied first and the copy is checked.
final class IndexTables {
    private var tables: [Int: UnsafeMutableBufferPointer<Int32>] = [:]

    deinit { for table in tables.values { table.deallocate() } }

    /// The table of a weight of index layout, the same memory each time.
    func table(_ index: Int, of artifact: Artifact) throws(BackendError) -> UnsafeBufferPointer<Int32> {
        if let table = tables[index] { return UnsafeBufferPointer(table) }
        let bytes = artifact.weightBytes(index)
        let count = artifact.weights[index].shape.reduce(1, *)
        guard count > 0, bytes.count / 4 >= count else { throw .malformed("index table \(index) is too short") }
        let table = UnsafeMutableBufferPointer<Int32>.allocate(capacity: count)
        for place in 0..<count {
            table.initializeElement(at: place, to: Int32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * place, as: Int32.self)))
        }
        tables[index] = table
        return UnsafeBufferPointer(table)
    }
}
