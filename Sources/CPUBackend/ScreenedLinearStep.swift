import CKernels
import Execution
import Plan

/// A linear layer into the logits that computes, where each row wants its greatest outputs alone, scores from int8 weights first and then the
/// panels in which wanted outputs may be; else all of it. Outputs that are wanted are the same bits either way.
final class ScreenedLinearStep: LinearStep {
    private var screen = vlm_screen_args()
    private var choice = vlm_screen_choice()
    private var isScreened = false
    private var chosen = 0
    /// Batches that are computed whole before scores are tried again, and how often in a row scores left too many outputs.
    private var pause = 0, failures = 0

    /// - Parameters:
    ///   - operands: x, bf16 weight, int8 weight.
    ///   - maxRows: most rows of any batch.
    override init(
        _ linear: Kernel.Linear, operands: [Operand], output: Operand, maxRows: Int, origin: String, _ environment: StepEnvironment
    ) throws(BackendError) {
        try super.init(linear, operands: operands, output: output, maxRows: maxRows, origin: origin, environment)
        screen.inputs = arguments.inputs
        screen.outputs = arguments.outputs
        screen.is_far = arguments.is_far
        if case .memory(let weight) = operands[2].place { screen.weight = weight }
        choice.panels = Int64(panels)
        let rows = min(maxRows, Self.rowsMax)
        environment.scratch.reserve(shared: rows * vlm_screen_row_bytes(screen.inputs) + 2 * Arena.aligned(4 * rows * panels) + 4 * panels)
    }

    /// From more rows on, scores take as long as the layer itself: products are then what both wait for.
    private static let rowsMax = 16
    /// The share of the panels from which on all are computed.
    private static let shareMax = 0.25
    private static let failuresMax = 4

    override func bind(_ context: RunContext) {
        super.bind(context)
        isScreened = false
        guard let io = context.io, wants(of: io), arguments.rows <= Self.rowsMax else { return }
        guard pause == 0 else { return pause -= 1 }
        isScreened = true
        screen.rows = arguments.rows
        screen.x = readsPackedRows ? nil : arguments.x
        screen.x_stride = arguments.x_stride
        screen.packed = readsPackedRows ? arguments.packed : nil
        screen.y = arguments.y
        screen.y_stride = arguments.y_stride
        place(rows: Int(arguments.rows))
        choice.rows = arguments.rows
        choice.wanted = UnsafePointer(io.wantedLogits.baseAddress)
        choice.reach = UnsafePointer(io.logitReach.baseAddress)
    }

    /// Addresses in the memory that steps share.
    private func place(rows: Int) {
        let bounds = Arena.aligned(4 * rows * panels)
        screen.coded = environment.scratch.shared
        let lower = environment.scratch.shared + rows * vlm_screen_row_bytes(screen.inputs)
        screen.lower = lower.assumingMemoryBound(to: Float.self)
        screen.upper = (lower + bounds).assumingMemoryBound(to: Float.self)
        choice.lower = UnsafePointer(screen.lower)
        choice.upper = UnsafePointer(screen.upper)
        choice.chosen = (lower + 2 * bounds).assumingMemoryBound(to: Int32.self)
    }

    /// Whether rows of the batch want some logits and none wants all.
    private func wants(of io: StepIO) -> Bool {
        let rows = io.wantedLogits.prefix(Int(arguments.rows))
        return rows.count == Int(arguments.rows) && rows.allSatisfy { $0 != 0 && $0 <= VLM_SCREEN_WANTED } && rows.contains { $0 > 0 }
    }

    private enum Phase: Int { case code, score, choose, compute }

    override var phaseCount: Int { isScreened ? 4 : 1 }

    override func itemCount(_ phase: Int) -> Int {
        guard isScreened, let phase = Phase(rawValue: phase) else { return super.itemCount(phase) }
        return switch phase {
        case .code: Int(screen.rows)
        case .score: panels
        case .choose: 1
        case .compute: chosen
        }
    }

    override func grain(_ phase: Int) -> Int {
        let isWhole = !isScreened || phase == Phase.score.rawValue || phase == Phase.compute.rawValue && chosen == panels
        return isWhole ? super.grain(phase) : 1
    }

    override func run(_ phase: Int, _ items: Range<Int>, thread: Int) {
        guard isScreened, let phase = Phase(rawValue: phase) else { return super.run(phase, items, thread: thread) }
        let begin = Int64(items.lowerBound), end = Int64(items.upperBound)
        switch phase {
        case .code: context.check(withUnsafePointer(to: screen) { vlm_screen_code($0, begin, end, environment.isa) })
        case .score: context.check(withUnsafePointer(to: screen) { [isa = environment.isa] in vlm_screen($0, begin, end, isa) })
        case .choose: choose()
        case .compute:
            guard chosen < panels else { return super.run(0, items, thread: thread) }
            for item in items {
                let panel = Int(choice.chosen[item])
                super.run(0, panel..<panel + 1, thread: thread)
            }
        }
    }

    private func choose() {
        let count = Int(withUnsafePointer(to: choice, vlm_screen_choose))
        let isFew = count >= 0 && Double(count) <= Self.shareMax * Double(panels)
        chosen = isFew ? count : panels
        pause = isFew ? 0 : (1 << failures) - 1
        failures = isFew ? 0 : min(failures + 1, Self.failuresMax)
    }
}
