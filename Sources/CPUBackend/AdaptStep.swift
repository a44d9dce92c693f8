import CKernels
import Execution
import Plan

/// Adds what the adapters of rows make of a layer's inputs. Rows without one cost nothing where the result lies over y.
final class AdaptStep: PreparedStep {
    /// A layer's columns of y, and each adapter's share in it.
    private struct Part {
        var start: Int
        var outputs: Int
        var adapters: UnsafeMutablePointer<vlm_adapter>
    }

    /// Columns of one layer that one item computes.
    private struct Block {
        var part: Int
        var columns: Range<Int>
    }

    private let y, x, numbers, result: Operand
    private let inputs: Int
    private let parts: [Part]
    private let blocks: [Block]
    private let environment: StepEnvironment
    /// The largest rank of all adapters.
    private let rank: Int
    /// Rows of the batch that have an adapter; `count` of them.
    private let rows: UnsafeMutablePointer<Int32>
    private var count = 0
    private var copied = 0

    private static let blockColumns = 512
    /// Rows of A that one item multiplies.
    private static let ranks = 8

    /// - Parameter maxRows: most rows of any batch.
    init(
        _ adapt: Kernel.Adapt, operands: [Operand], output: Operand, maxRows: Int, origin: String, _ environment: StepEnvironment
    ) throws(BackendError) {
        (y, x, numbers, result, inputs) = (operands[0], operands[1], operands[2], output, adapt.inputs)
        self.environment = environment
        let adapters = environment.adapters
        rank = adapters.reduce(0) { max($0, $1.rank) }
        var (parts, blocks, start): ([Part], [Block], Int) = ([], [], 0)
        rows = .allocate(capacity: max(maxRows, 1))
        for (index, layer) in adapt.layers.enumerated() {
            parts.append(Part(start: start, outputs: layer.outputs, adapters: .allocate(capacity: max(adapters.count, 1))))
            for first in stride(from: 0, to: layer.outputs, by: Self.blockColumns) {
                blocks.append(Block(part: index, columns: first..<min(first + Self.blockColumns, layer.outputs)))
            }
            start += layer.outputs
        }
        (self.parts, self.blocks) = (parts, blocks)
        super.init(origin: origin)
        for (number, adapter) in adapters.enumerated() {
            for (part, layer) in zip(parts, adapt.layers) {
                let share = adapter.share(of: layer.name)
                if let share, share.layer.inputs != inputs || share.layer.outputs != layer.outputs {
                    throw .malformed("\(layer.name) has \(layer.outputs) outputs of \(inputs) inputs in one plan and others in another")
                }
                part.adapters[number] = vlm_adapter(
                    rank: Int64(share?.rank ?? 0), down: UnsafePointer(share?.down.baseAddress), up: UnsafePointer(share?.up.baseAddress))
            }
        }
        environment.scratch.reserve(shared: maxRows * middleWidth * MemoryLayout<Float>.stride)
    }

    deinit {
        rows.deallocate()
        for part in parts { part.adapters.deallocate() }
    }

    /// Numbers between A and B of one row.
    private var middleWidth: Int { parts.count * rank }
    private var chunks: Int { (rank + Self.ranks - 1) / Self.ranks }

    override func bind(_ context: RunContext) {
        super.bind(context)
        count = 0
        guard let numbers = numbers.integers(context) else { return }
        let total = y.rows.value(context)
        copied = y.floats(context) == result.floats(context) ? 0 : total
        for row in 0..<total where numbers[row] >= 0 {
            guard Int(numbers[row]) < environment.adapters.count else {
                context.check(VLM_BAD_INDEX)
                count = 0
                return
            }
            rows[count] = Int32(row)
            count += 1
        }
    }

    override var operations: Double { 2 * Double(count * rank) * Double(parts.count * inputs + y.columns) }

    /// Rows that lie elsewhere are copied; A, then B.
    override var phaseCount: Int { 3 }

    override func itemCount(_ phase: Int) -> Int {
        switch phase {
        case 0: copied
        case 1: count * parts.count * chunks
        default: count * blocks.count
        }
    }

    override func grain(_ phase: Int) -> Int {
        switch phase {
        case 0: max(1, 16384 / max(y.columns, 1))
        case 1: max(1, 65_536 / (Self.ranks * max(inputs, 1)))
        default: max(1, 65_536 / (Self.blockColumns * max(rank, 1)))
        }
    }

    override func run(_ phase: Int, _ items: Range<Int>, thread: Int) {
        for item in items {
            switch phase {
            case 0: copy(row: item)
            case 1: multiplyDown(item)
            default: multiplyUp(item)
            }
        }
    }

    private func copy(row: Int) {
        guard let from = y.floats(context), let to = result.floats(context) else { return }
        (to + row * result.stride).update(from: from + row * y.stride, count: y.columns)
    }

    private func adapter(_ part: Int, ofRow row: Int) -> UnsafePointer<vlm_adapter>? {
        numbers.integers(context).map { UnsafePointer(parts[part].adapters + Int($0[row])) }
    }

    /// Where the numbers between A and B of a row and a layer are.
    private func middle(_ place: Int, _ part: Int) -> UnsafeMutablePointer<Float> {
        environment.scratch.shared.assumingMemoryBound(to: Float.self) + place * middleWidth + part * rank
    }

    private func multiplyDown(_ item: Int) {
        let (place, rest) = item.quotientAndRemainder(dividingBy: parts.count * chunks)
        let (part, chunk) = rest.quotientAndRemainder(dividingBy: chunks)
        let row = Int(rows[place])
        guard let adapter = adapter(part, ofRow: row), let x = x.floats(context) else { return }
        let ranks = min(chunk * Self.ranks, Int(adapter.pointee.rank))..<min((chunk + 1) * Self.ranks, Int(adapter.pointee.rank))
        guard !ranks.isEmpty else { return }
        context.check(
            vlm_adapter_down(
                adapter, x + row * self.x.stride, Int64(inputs), Int64(ranks.lowerBound), Int64(ranks.upperBound), middle(place, part),
                environment.isa))
    }

    private func multiplyUp(_ item: Int) {
        let (place, index) = item.quotientAndRemainder(dividingBy: blocks.count)
        let (block, row) = (blocks[index], Int(rows[place]))
        let part = parts[block.part]
        guard let adapter = adapter(block.part, ofRow: row), adapter.pointee.rank > 0, let y = result.floats(context) else { return }
        context.check(
            vlm_adapter_up(
                adapter, middle(place, block.part), Int64(part.outputs), Int64(block.columns.lowerBound), Int64(block.columns.upperBound),
                y + row * result.stride + part.start, environment.isa))
    }
}
