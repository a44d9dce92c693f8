/// One transformation of modules: a value with a name, the stage that it belongs to, and its work.
///
///     package let fuseRMSNorm = Pass("fuse-rms-norm", .fused) { editor throws(PassError) in try editor.apply([rmsNorm]) }
package struct Pass: Sendable {
    package let name: String
    /// Goes up when the pass makes other graphs than before, so that artifacts are compiled again.
    package let version: Int
    /// The stage that the pass helps to reach.
    package let stage: Stage
    /// Whether kernels run the model without it, only slower.
    package let isOptional: Bool
    private let work: Work

    private enum Work: Sendable {
        case graph(@Sendable (Editor) throws(PassError) -> Void)
        case module(@Sendable (inout Module, inout PassReport) throws(PassError) -> Void)
    }

    /// A pass that looks at one graph at a time.
    package init(
        _ name: String, _ stage: Stage, version: Int = 1, isOptional: Bool = false,
        _ work: @escaping @Sendable (Editor) throws(PassError) -> Void
    ) {
        (self.name, self.stage, self.version, self.isOptional, self.work) = (name, stage, version, isOptional, .graph(work))
    }

    /// A pass that adds, copies or drops whole graphs.
    package init(
        _ name: String, _ stage: Stage, version: Int = 1,
        module work: @escaping @Sendable (inout Module, inout PassReport) throws(PassError) -> Void
    ) {
        (self.name, self.stage, self.version, isOptional, self.work) = (name, stage, version, false, .module(work))
    }

    /// Runs the pass on every graph; the module's stage stays as it is.
    ///
    /// - Parameter budget: how many rewrites may still happen, counted down; nil for any number.
    package func run(on module: inout Module, budget: inout Int?) throws(PassError) -> PassReport {
        var report = PassReport(pass: name, version: version)
        report.nodesBefore = module.graphs.reduce(0) { $0 + $1.nodeCount }
        do throws(PassError) {
            switch work {
            case .graph(let work):
                for index in module.graphs.indices {
                    let editor = Editor(module.graphs[index], report: report, budget: budget)
                    try work(editor)
                    module.graphs[index] = try editor.finish()
                    (report, budget) = (editor.report, editor.remainingBudget)
                }
            case .module(let work):
                try work(&module, &report)
            }
        } catch {
            throw PassError(error.reason, pass: name)
        }
        report.nodesAfter = module.graphs.reduce(0) { $0 + $1.nodeCount }
        return report
    }

    /// Runs the pass without a limit.
    @discardableResult
    package func run(on module: inout Module) throws(PassError) -> PassReport {
        var budget: Int?
        return try run(on: &module, budget: &budget)
    }
}
