internal import Budgets
internal import CPCRE2

/// Memory that regular expressions are matched in, and a bound of the steps that they take together.
///
/// A pattern is compiled with a callout before each of its items; these count the steps, and the way from one to the next as
/// steps of 64 bytes, charge the budget and end a match that takes too many. PCRE2's own match limit counts anew at every place where a match may begin, and so bounds nothing.
final class PatternRun {
    /// Steps are taken from a batch, so that each costs next to nothing; between two batches the budget is charged.
    private struct Costs {
        private var left = 0
        private var batch = 0
        private var stepsLeft: Int
        /// What a step may cost in the range at hand, where an item may have gone over all of it.
        private var unitsPerStep = 1
        private var uncharged = 0
        /// Where in the range the step before was.
        private var position = 0
        private let budget: WorkBudget?
        private(set) var error: WorkLimitError?

        private static let unitsPerBatch = 100_000

        init(steps: Int, budget: WorkBudget?) {
            stepsLeft = steps
            self.budget = budget
        }

        mutating func begin(bytes: Int) {
            settle()
            position = 0
            unitsPerStep = 16 + min(bytes / 64, 2000)
            refill()
        }

        /// Counts a step at a place in the range; false when there are to be no more.
        mutating func count(at place: Int) -> Bool {
            left &-= 1 &+ abs(place &- position) >> 6
            position = place
            return left >= 0 || goesOn()
        }

        private mutating func settle() {
            stepsLeft -= batch - left
            uncharged += (batch - left) * unitsPerStep
            (batch, left) = (0, 0)
        }

        private mutating func refill() {
            batch = max(min(Self.unitsPerBatch / unitsPerStep, stepsLeft), 0)
            left = batch
        }

        private mutating func goesOn() -> Bool {
            settle()
            if uncharged >= Self.unitsPerBatch {
                do throws(WorkLimitError) { try budget?.spend(uncharged) } catch { self.error = error }
                uncharged = 0
            }
            refill()
            return stepsLeft >= 0 && error == nil
        }
    }

    enum Outcome {
        case match(Range<Int>)
        case none
        case gaveUp
        case stopped(WorkLimitError)
    }

    private let block: OpaquePointer?
    private let context: OpaquePointer?
    private var stack: OpaquePointer?
    private let costs: UnsafeMutablePointer<Costs>

    /// What a match may take of memory where its stack of 32 KB does not suffice: in compiled patterns, and in others.
    private static let stackBytes = 64 << 20
    private static let heapKilobytes: UInt32 = 256 << 10

    init(steps: Int, budget: WorkBudget?) {
        costs = .allocate(capacity: 1)
        costs.initialize(to: Costs(steps: steps, budget: budget))
        block = pcre2_match_data_create_8(1, nil)
        context = pcre2_match_context_create_8(nil)
        guard let context else { return }
        pcre2_set_match_limit_8(context, .max)
        pcre2_set_depth_limit_8(context, .max)
        pcre2_set_heap_limit_8(context, Self.heapKilobytes)
        pcre2_set_callout_8(
            context,
            { block, costs in
                guard let block, let costs = costs?.assumingMemoryBound(to: Costs.self),
                    costs.pointee.count(at: block.pointee.current_position)
                else { return PCRE2_ERROR_CALLOUT }
                return 0
            }, costs)
    }

    deinit {
        pcre2_match_context_free_8(context)
        pcre2_match_data_free_8(block)
        pcre2_jit_stack_free_8(stack)
        costs.deinitialize(count: 1)
        costs.deallocate()
    }

    /// Says how many bytes the next matches are looked for in.
    func begin(bytes: Int) {
        costs.pointee.begin(bytes: bytes)
    }

    /// The first match of `code` in `subject` at or behind `start`.
    func firstMatch(of code: OpaquePointer, in subject: UnsafeBufferPointer<UInt8>, from start: Int) -> Outcome {
        guard let context, let block else { return .gaveUp }
        let options = UInt32(PCRE2_NO_UTF_CHECK)
        var result = pcre2_match_8(code, subject.baseAddress, subject.count, start, options, block, context)
        if result == PCRE2_ERROR_JIT_STACKLIMIT, stack == nil {
            stack = pcre2_jit_stack_create_8(32 << 10, Self.stackBytes, nil)
            pcre2_jit_stack_assign_8(context, nil, stack.map { UnsafeMutableRawPointer($0) })
            result = pcre2_match_8(code, subject.baseAddress, subject.count, start, options, block, context)
        }
        if result == PCRE2_ERROR_NOMATCH { return .none }
        if let error = costs.pointee.error { return .stopped(error) }
        guard result >= 0, let bounds = pcre2_get_ovector_pointer_8(block), bounds[0] <= bounds[1], start <= bounds[0] else {
            return .gaveUp
        }
        return .match(bounds[0]..<bounds[1])
    }
}
