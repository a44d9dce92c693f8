import ArgumentParser
import Compiler
import Foundation
import IR

struct Explain: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say what a pass does to a model: matches, rewrites, and misses with the reason and the culprit.",
        discussion: """
            Traces the model, runs the passes before this one and then this one; nothing is packed or stored, and no weight is \
            read, but for quantize-layers, which measures what it rounds. A miss is a rule that nearly fired: more than half of its pattern was there, or its check refused.

              vlmc explain fuse-rms-norm Artifacts/Demo/model
            """)

    @Argument(help: "The pass; vlmc opt --list names them.")
    var pass: String

    @Argument(help: "HuggingFace model directory, or OWNER/NAME in HuggingFace's cache.")
    var directory: String

    @Flag(help: "Show every rewrite and every miss, not one of each kind.")
    var all = false

    @Flag(help: "Print the report as JSON.")
    var json = false

    @OptionGroup var store: StoreOption
    @OptionGroup var model: ModelOptions

    func run() throws {
        let store = try store.resolved()
        let options = try model.options(ModelName.directory(directory))
        let source = try Failure.wrapping { () throws(CompileError) in try ModelSource(directory: options.directory, store: store) }
        let machine = try model.resolvedMachine(store)
        var compilation = try Failure.wrapping { () throws(CompileError) in
            try Compilation(source, options: options, store: store, machine: machine) { _ in }
        }
        compilation.calibration = try model.calibrationInputs(of: source)
        var (module, passes) = try Failure.wrapping { () throws(CompileError) in try compilation.tracedWithPasses() }
        let chosen = try passes.knownPass(pass)
        let earlier = PassPipeline(passes.passes.prefix { $0.name != pass } + [chosen])
        let reports = try Failure.wrapping { () throws(PassError) in
            try earlier.run(on: &module, options: PassPipeline.Options(verifies: true))
        }
        guard let report = reports.last else { return }
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            return print(String(decoding: try encoder.encode(report), as: UTF8.self))
        }
        print(PassRemarks(report).text(all: all))
    }
}
