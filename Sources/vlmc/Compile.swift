import ArgumentParser
import ArtifactFormat
import CommandLineSupport
import Compiler
import CPUBackend
import Foundation
import IR
import ModelRuntime
import Plan

struct Compile: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compile a model directory; prints the artifact's path.",
        discussion: """
            Reads config.json, safetensors, tokenizer and image processor, traces vision tower and decoder, runs the passes \
            and stores plans and packed weights. A second run with the same inputs and flags finds the artifact in the store; \
            any change that matters compiles again and says which field changed.

            VLM_DEBUG=1 verifies the module after every pass, 2 adds their times, 3 their counts, 4 every rewrite and miss, 5 \
            the IR after each pass in the directory \(DebugLevel.dumpDirectory).

            Exit code 0, or 1 with one message on stderr; 64 for wrong usage. A refused, failed or interrupted compile leaves nothing behind.
            """)

    @Argument(help: "HuggingFace model directory, or OWNER/NAME in HuggingFace's cache.")
    var directory: String

    @OptionGroup var store: StoreOption
    @OptionGroup var model: ModelOptions
    @OptionGroup var head: HeadOptions

    @Option(name: .shortAndLong, help: "Write the artifact to this directory instead of the store.")
    var output: String?

    @Option(help: "Stop after this stage: \(Stage.allCases.map(\.rawValue).joined(separator: ", ")). Stores nothing.")
    var stopAfter: String?

    @Option(name: .customLong("dump-ir"), help: "Write the IR after each pass that changed it, as text, to this directory.")
    var dumpDirectory: String?

    @Option(
        help: """
            Do at most this many rewrites, to find the one that goes wrong. Those without which no kernel runs the model are done \
            all the same, unless --stop-after is given.
            """)
    var rewriteLimit: Int?

    @Option(help: "What the checkpoint is quantized by, such as awq, gptq, compressed-tensors, fp8, smoothquant: an error where it is not.")
    var quantization: String?

    @Flag(help: "Compile even if the store has the artifact.")
    var force = false

    @Flag(help: "Compile nothing: print the path if the store has the artifact, else fail.")
    var onlyStored = false

    @Option(help: "Fail before anything is compiled where the artifact would take fewer tokens.")
    var leastModelLen: Int?

    @Option(name: .customLong("compile-report"), help: "Write what was done, as JSON, to this file.")
    var reportFile: String?

    @Option(help: "Write how far it is to this open file descriptor, in lines such as \"packing 0.42\".")
    var progressTo: Int32?

    private var stage: Stage? {
        get throws {
            try stopAfter.map { name in
                guard let stage = Stage(rawValue: name) else {
                    throw ValidationError("--stop-after \(name): the stages are \(Stage.allCases.map(\.rawValue).joined(separator: ", "))")
                }
                return stage
            }
        }
    }

    func validate() throws {
        if let progressTo, fcntl(progressTo, F_GETFL) == -1 { throw ValidationError("--progress-to \(progressTo) is not an open file descriptor") }
        if let rewriteLimit, rewriteLimit < 0 { throw ValidationError("--rewrite-limit \(rewriteLimit) must be at least 0") }
        if output?.isEmpty == true { throw ValidationError("-o needs a directory") }
        if let leastModelLen, leastModelLen < 1 { throw ValidationError("--least-model-len \(leastModelLen) must be at least 1") }
        if onlyStored, force || output != nil || stopAfter != nil || dumpDirectory != nil {
            throw ValidationError("--only-stored compiles nothing: --force, -o, --stop-after and --dump-ir are not possible with it")
        }
        if try stage != nil, force || output != nil { throw ValidationError("--stop-after stores nothing: leave --force and -o out") }
    }

    func run() throws {
        if let progressTo { ProcessSignals.endWithReader(of: progressTo, undoing: VLMC.undo) }
        if let reportFile { try Failure.wrapping { () throws(FileError) in try OutputFile.check(reportFile) } }
        let store = try store.resolved()
        var options = try model.options(ModelName.directory(directory))
        options.output = output
        options.isForced = force
        options.isOnlyLookedUp = onlyStored
        options.stopAfter = try stage
        options.leastModelLength = leastModelLen
        options.rewriteLimit = rewriteLimit
        let source = try head.source(&options, store)
        if let quantization, let fact = source.quantizationMismatch(quantization) { throw Failure("--quantization \(quantization): \(fact)") }
        source.warnings.forEach(Terminal.warn)
        let machine = try model.resolvedMachine(store)
        let display = CompileDisplay(progressTo: progressTo)
        var compilation = try Failure.wrapping { () throws(CompileError) in
            try Compilation(source, options: options, store: store, machine: machine) { display.show($0) }
        }
        compilation.remembersMachine = model.machine == nil
        compilation.calibration = try model.calibrationInputs(of: source)
        let level = try DebugLevel.current
        let dumpFailure = DumpFailure()
        if level >= .timing { compilation.observers.append(PassPrinter(level)) }
        if let directory = dumpDirectory ?? (level >= .dumps ? DebugLevel.dumpDirectory : nil) {
            compilation.observers.append(try dumper(directory, dumpFailure))
        }
        compilation.golden = { artifact throws(ArtifactError) in
            do { return try SelfTest.record(artifact, on: CPUBackend()) } catch {
                throw .refused("the compiled artifact does not run on this machine: \(error)")
            }
        }
        let report: CompileReport
        do throws(CompileError) { report = try compilation.run() } catch {
            guard case .notStored = error else { throw Failure("\(error)") }
            throw Failure("\(error); compile it:\n  \(CompileCommand.thatCompiles)")
        }
        display.finish(report)
        if let failure = dumpFailure.first { throw Failure("\(failure)") }
        if let reportFile { try report.write(to: reportFile) }
        if !report.artifact.isEmpty { try StandardOutput.write(report.artifact + "\n") }
    }

    /// Why the first dump that failed did.
    private final class DumpFailure {
        var first: FileError?
    }

    private func dumper(_ directory: String, _ failure: DumpFailure) throws -> PassDumper {
        try Failure.wrapping { () throws(FileError) in try OutputFile.createDirectory(directory) }
        return PassDumper { name, text in
            guard failure.first == nil else { return }
            do throws(FileError) { try OutputFile.write(Array(text.utf8), to: "\(directory)/\(name)") } catch { failure.first = error }
        }
    }
}
