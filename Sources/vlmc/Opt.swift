import ArgumentParser
import ArtifactFormat
import CommandLineSupport
import Compiler
import Foundation
import IR
import Passes
import Plan

struct Opt: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run passes over IR text; prints the module that they leave.",
        discussion: """
            The text is that of vlmc compile --dump-ir, of vlm-cache graph, or written by hand; it is verified before the first \
            and after every pass. docs/passes.md shows what each pass makes of what.

              vlmc opt --pass fuse-rms-norm --remarks norm.vir
              vlmc opt --pass fuse-gated-activation Passes/Fixtures/fusion/fuse-gated-activation.vir --case "the halves of a value"
              vlm-cache graph ARTIFACT --entry extend --stage traced | vlmc opt --pipeline --stop-after fused
            """)

    @Argument(help: "File with IR text; - or nothing for stdin.")
    var file: String = "-"

    @Option(name: .customLong("pass"), help: "Run this pass. May stand several times; the passes run in the order given.")
    var names: [String] = []

    @Flag(name: .customLong("pipeline"), help: "Run all passes in their order.")
    var runsAll = false

    @Option(name: .customLong("case"), help: "Of a file with several cases, as in Passes/Fixtures, take the one whose title begins so.")
    var title: String?

    @Flag(help: "List the passes in their order, with what they do.")
    var list = false

    @Flag(help: "Say on stderr what was rewritten, and what was not and why.")
    var remarks = false

    @Option(help: "With --pipeline: stop after this stage: \(Stage.allCases.map(\.rawValue).joined(separator: ", ")).")
    var stopAfter: String?

    @Option(help: "Do at most this many rewrites, to find the one that goes wrong.")
    var rewriteLimit: Int?

    @OptionGroup var model: ModelOptions

    func validate() throws {
        guard !list else {
            if runsAll || !names.isEmpty { throw ValidationError("--list runs nothing; leave --pass and --pipeline out") }
            return
        }
        if stopAfter != nil, !runsAll { throw ValidationError("--stop-after is of --pipeline; passes that --pass names all run") }
        if let rewriteLimit, rewriteLimit < 0 { throw ValidationError("--rewrite-limit \(rewriteLimit) must be at least 0") }
        if runsAll, !names.isEmpty { throw ValidationError("--pipeline runs every pass; leave --pass out") }
        if !runsAll, names.isEmpty { throw ValidationError("which pass? Name it with --pass, take all with --pipeline, or see vlmc opt --list") }
    }

    func run() throws {
        let pipeline = try Self.pipeline(model)
        if list { return pipeline.passes.forEach { print(Self.line($0)) } }
        let passes = try chosen(of: pipeline)
        let stage = try stopAfter.map { name in
            guard let stage = Stage(rawValue: name) else {
                throw ValidationError("--stop-after \(name): the stages are \(Stage.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            return stage
        }
        var module = try parsed()
        let options = PassPipeline.Options(verifies: true, rewriteLimit: rewriteLimit, stopAfter: stage)
        let reports = try Failure.wrapping { () throws(PassError) in
            try PassPipeline(passes).run(on: &module, options: options)
        }
        if remarks { reports.forEach { StandardError.say(PassRemarks($0).text(all: true)) } }
        print(Printer.print(module), terminator: "")
    }

    /// All passes under the flags; without a machine's rates, bf16 products where the target has them and BLAS where exact.
    private static func pipeline(_ model: ModelOptions) throws -> PassPipeline {
        let options = try model.options("")
        let gears = try Failure.wrapping { () throws(CompileError) in
            try options.limits(modelLength: 1 << 20, patches: 1, cell: 1).gears
        }
        let machine = try model.describedMachine()
        let fastest = options.precision == .exact ? Arithmetic.blas : options.target.features.contains(.avx512bf16) ? .bf16 : .f32
        let arithmetic = machine?.arithmetic(for: options.target, options.precision) ?? fastest
        var policy = KernelPolicy(
            isExact: options.precision == .exact, features: options.target.features, arithmetic: arithmetic)
        policy.rounding = options.rounding
        return Passes.pipeline(gears: gears, policy: policy)
    }

    private static func line(_ pass: Pass) -> String {
        let columns = [(pass.stage.rawValue, 13), (pass.name, 33)].map { text, width in
            text.padding(toLength: width, withPad: " ", startingAt: 0)
        }
        return columns.joined() + (passSummaries[pass.name] ?? "")
    }

    private func chosen(of pipeline: PassPipeline) throws(Failure) -> [Pass] {
        if runsAll { return pipeline.passes }
        var passes: [Pass] = []
        for name in names { passes.append(try pipeline.knownPass(name)) }
        return passes
    }

    private func parsed() throws(Failure) -> Module {
        let bytes = try Failure.wrapping { () throws(FileError) in try InputFile.read(file) }
        let text = try chosenCase(of: String(decoding: bytes, as: UTF8.self))
        do {
            let module = try Parser.parse(text)
            try Verifier.verify(module)
            return module
        } catch { throw Failure("\(file == "-" ? "stdin" : file): \(error)") }
    }

    /// The text, or of a file of cases the module before the pass of the one that is meant.
    private func chosenCase(of text: String) throws(Failure) -> String {
        let cases = text.components(separatedBy: "// === ").dropFirst().map { part in
            let lines = part.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
            return (title: String(lines[0]), body: String(lines.last ?? "").components(separatedBy: "// --- after")[0])
        }
        if cases.isEmpty { return text }
        guard let chosen = cases.first(where: { $0.title.hasPrefix(title ?? "\n") }) ?? (cases.count == 1 ? cases[0] : nil) else {
            let titles = cases.map { "\n  \($0.title)" }.joined()
            throw Failure("\(file) has \(cases.count) cases; choose with --case:\(titles)")
        }
        return chosen.body
    }
}

extension PassPipeline {
    /// The pass with a name that a person typed.
    func knownPass(_ name: String) throws(Failure) -> Pass {
        guard let pass = pass(named: name) else {
            let names = passes.map(\.name)
            let meant = Spelling.closest(to: name, among: names).map { "did you mean \($0)? The passes are" }
            throw Failure("there is no pass \(name); \(meant ?? "the passes are") \(names.joined(separator: ", "))")
        }
        return pass
    }
}
