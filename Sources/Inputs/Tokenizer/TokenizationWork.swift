internal import Budgets

/// What the work on one text may still cost, and at which step of the tokenizer it is. Used by one thread.
final class TokenizationWork {
    /// A part of `tokenizer.json`, by its key.
    enum Section: String {
        case normalizer, decoder
        case preTokenizer = "pre_tokenizer"
    }

    /// The most bytes that the text may have after any step.
    let textLimit: Int
    private let budget: WorkBudget?
    /// The work since the budget was last charged, in its units.
    private var uncharged = 0
    private let patternSteps: Int
    private var section = Section.normalizer
    private var step = 0

    /// Regular expressions run in this; made when the first one does.
    private(set) lazy var patternRun = PatternRun(steps: patternSteps, budget: budget)

    private static let unitsPerCharge = 50_000

    private init(textLimit: Int, patternSteps: Int, budget: WorkBudget?) {
        self.textLimit = textLimit
        self.patternSteps = patternSteps
        self.budget = budget
    }

    /// The work of making a text tokens. Ordinary tokenizers let a text grow three times and take about ten steps a byte.
    static func encoding(bytes: Int, budget: WorkBudget?) -> TokenizationWork {
        TokenizationWork(
            textLimit: min(16 * bytes + (1 << 20), max(16 << 20, 4 * bytes)), patternSteps: 20_000_000 + 1000 * bytes, budget: budget)
    }

    /// The work of making one token of so many bytes, or what was held back of several, text: it is done between two steps of
    /// the model.
    static func decoding(bytes: Int) -> TokenizationWork {
        TokenizationWork(textLimit: 16 * bytes + 4096, patternSteps: 100_000 + 100 * bytes, budget: nil)
    }

    /// Says which step, counted from 0, the work comes to.
    func enter(_ section: Section, _ step: Int) {
        self.section = section
        self.step = step
    }

    /// The present step, for messages: `step 3 of tokenizer.json's normalizer`.
    var place: String { "step \(step + 1) of tokenizer.json's \(section.rawValue)" }

    /// Charges work before it is done; `units` are nanoseconds, roughly.
    func charge(_ units: Int) throws(TokenizationError) {
        uncharged += units
        guard uncharged >= Self.unitsPerCharge, let budget else { return }
        let units = uncharged
        uncharged = 0
        do throws(WorkLimitError) { try budget.spend(units) } catch { throw .work(error) }
    }

    func checkLength(_ bytes: Int) throws(TokenizationError) {
        if bytes > textLimit { throw .textTooLong(place: place, limit: textLimit) }
    }
}
