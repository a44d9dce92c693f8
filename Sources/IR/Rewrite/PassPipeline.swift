/// Watches a pipeline: timing, dumps, records. Never changes what passes do.
package protocol PassObserver: AnyObject {
    func willRun(_ pass: Pass, on module: Module)
    func didRun(_ pass: Pass, _ report: PassReport, before: Module, after: Module)
    /// Called with the module as it comes, and when the last pass of a stage has run.
    func didReach(_ stage: Stage, _ module: Module)
}

extension PassObserver {
    package func willRun(_ pass: Pass, on module: Module) {}
    package func didRun(_ pass: Pass, _ report: PassReport, before: Module, after: Module) {}
    package func didReach(_ stage: Stage, _ module: Module) {}
}

/// Passes in their order, with the stages that they reach.
package struct PassPipeline: Sendable {
    package let passes: [Pass]

    package struct Options: Sendable {
        /// Whether the module is verified before the first and after every pass.
        package var verifies = false
        /// How many rewrites happen, for bisection; nil for any number.
        package var rewriteLimit: Int?
        /// Whether passes that are not optional count and end as well; then kernels may not run what is left.
        package var limitsEveryPass = true
        /// The last stage to reach.
        package var stopAfter: Stage?

        package init(verifies: Bool = false, rewriteLimit: Int? = nil, stopAfter: Stage? = nil) {
            self.verifies = verifies
            self.rewriteLimit = rewriteLimit
            self.stopAfter = stopAfter
        }
    }

    package init(_ passes: [Pass]) { self.passes = passes }

    package func pass(named name: String) -> Pass? { passes.first { $0.name == name } }

    /// Runs the passes; after the last pass of a stage, the module is at that stage.
    package func run(
        on module: inout Module, options: Options = Options(), observers: [any PassObserver] = []
    ) throws(PassError) -> [PassReport] {
        var budget = options.rewriteLimit
        var reports: [PassReport] = []
        if options.verifies { try verify(module, after: "trace") }
        for observer in observers { observer.didReach(module.stage, module) }
        let chosen = passes.filter { pass in options.stopAfter.map { pass.stage <= $0 } ?? true }
        for (index, pass) in chosen.enumerated() {
            for observer in observers { observer.willRun(pass, on: module) }
            let before = module
            var unlimited: Int?
            let report = try pass.isOptional || options.limitsEveryPass
                ? pass.run(on: &module, budget: &budget) : pass.run(on: &module, budget: &unlimited)
            reports.append(report)
            let isLast = index + 1 == chosen.count || chosen[index + 1].stage > pass.stage
            let reaches = isLast && pass.stage > module.stage
            if reaches { module.stage = pass.stage }
            if options.verifies { try verify(module, after: pass.name) }
            for observer in observers {
                observer.didRun(pass, report, before: before, after: module)
                if reaches { observer.didReach(pass.stage, module) }
            }
        }
        return reports
    }

    private func verify(_ module: Module, after pass: String) throws(PassError) {
        do throws(VerificationError) {
            try Verifier.verify(module)
        } catch {
            throw PassError("the module is not well formed afterwards:\n\(error)", pass: pass)
        }
    }
}
