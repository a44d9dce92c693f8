/// How far an encoding of images is, and how long its parts take, so that it can stop inside a step.
struct VisionPlace {
    private(set) var step = 0, phase = 0
    private var item = 0
    /// What an item of the phase at hand took; 0 before any.
    private var secondsPerItem = 0.0
    /// Floating-point operations per second of the steps before.
    private var rate = 2e10

    /// Whether nothing of the step has run.
    var isAtStart: Bool { phase == 0 && item == 0 }

    mutating func begin() { (step, phase, item, secondsPerItem) = (0, 0, 0, 0) }

    /// The next items, as many as take about the time that is left; nil where it is too short for any.
    ///
    /// - Parameters:
    ///   - left: in seconds; nil for no end.
    ///   - atLeastSome: whether some run however short the time is.
    func next(of prepared: PreparedStep, threads: Int, within left: Double?, atLeastSome: Bool) -> Range<Int>? {
        let count = prepared.itemCount(phase)
        guard let left else { return item..<count }
        let least = min(prepared.grain(phase) * threads, count - item)
        let fitting = left > 0 ? fitting(left, prepared, count) : 0
        guard atLeastSome || fitting >= least else { return nil }
        return item..<min(count, item + max(fitting, least))
    }

    /// How many items of the phase at hand take so long. Before any has run, their operations tell, with care; where there are none, a part is tried.
    private func fitting(_ seconds: Double, _ prepared: PreparedStep, _ count: Int) -> Int {
        let guess = 4 * prepared.operations / rate / Double(max(count, 1))
        let each = secondsPerItem > 0 ? secondsPerItem : guess
        return each > 0 ? Int(min(seconds / each, 1e9)) : count / 8
    }

    /// Takes note that items have run.
    mutating func note(_ items: Range<Int>, of prepared: PreparedStep, seconds: Double) {
        let count = prepared.itemCount(phase)
        if !items.isEmpty {
            secondsPerItem = seconds / Double(items.count)
            let operations = prepared.operations * Double(items.count) / Double(count)
            if operations > 0, seconds > 0 { rate += (operations / seconds - rate) / 8 }
        }
        item = items.upperBound
        guard item >= count else { return }
        (phase, item, secondsPerItem) = (phase + 1, 0, 0)
        if phase >= prepared.phaseCount { (step, phase) = (step + 1, 0) }
    }
}
