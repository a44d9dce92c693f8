import ArgumentParser
import ArtifactFormat
import CPUBackend
import Compiler
import Foundation
import IR
import Plan

struct Compile: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compile a model directory; prints the artifact's path.",
        discussion: """
            Reads config.json, safetensors, tokenizer and image processor, traces vision tower and decoder, runs the passes \
            and stores plans and packed weights. A second run with the same inputs and flags finds the artifact in the store; \
            any change that matters compiles again and says which field changed.

            Exit code 0, or 1 with one message on stderr. A refused or failed compile leaves nothing behind.
            """)

    @Argument(help: "HuggingFace model directory.")
    var directory: String

    @OptionGroup var store: StoreOption
    @OptionGroup var model: ModelOptions

    @Option(name: .shortAndLong, help: "Write the artifact to this directory instead of the store.")
    var output: String?

    @Option(help: "Stop after this stage: \(Stage.allCases.map(\.rawValue).joined(separator: ", ")). Stores nothing.")
    var stopAfter: String?

    @Option(name: .customLong("dump-ir"), help: "Write the IR after each pass that changed it, as text, to this directory.")
    var dumpDirectory: String?

    @Option(help: "Do at most this many rewrites, to find the one that goes wrong.")
    var rewriteLimit: Int?

    @Flag(help: "Compile even if the store has the artifact.")
    var force = false

    @Option(name: .customLong("compile-report"), help: "Write what was done, as JSON, to this file.")
    var reportFile: String?

    func run() throws {
        let store = try store.resolved()
        var options = try model.options(directory)
        options.output = output
        options.isForced = force
        options.stopAfter = try stopAfter.map { name in
            guard let stage = Stage(rawValue: name) else {
                throw Failure("--stop-after \(name): the stages are \(Stage.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            return stage
        }
        options.rewriteLimit = rewriteLimit
        let source = try Failure.wrapping { () throws(CompileError) in try ModelSource(directory: directory) }
        let machine = try model.resolvedMachine(store)
        let display = CompileDisplay()
        var compilation = try Failure.wrapping { () throws(CompileError) in
            try Compilation(source, options: options, store: store, machine: machine) { display.show($0) }
        }
        if let dumpDirectory { compilation.observers.append(try dumper(dumpDirectory)) }
        compilation.golden = { SelfTest.record($0) }
        let report = try Failure.wrapping { () throws(CompileError) in try compilation.run() }
        display.finish(report)
        if let reportFile { try write(report, to: reportFile) }
        if !report.artifact.isEmpty { print(report.artifact) }
    }

    private func dumper(_ directory: String) throws -> PassDumper {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        return PassDumper { name, text in
            if !FileManager.default.createFile(atPath: "\(directory)/\(name)", contents: Data(text.utf8)) {
                Terminal.warn("cannot write \(directory)/\(name)")
            }
        }
    }

    private func write(_ report: CompileReport, to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let data = try encoder.encode(report)
        guard FileManager.default.createFile(atPath: path, contents: data) else { throw Failure("cannot write \(path)") }
    }
}

/// Which store; the same everywhere.
struct StoreOption: ParsableArguments {
    @Option(name: .customLong("store"), help: "Store directory; else $VLM_STORE, else $XDG_CACHE_HOME/vlm, else ~/.cache/vlm.")
    var path: String?

    func resolved() throws -> Store {
        try Failure.wrapping { () throws(ArtifactError) in
            try Store.resolve(option: path, environment: ProcessInfo.processInfo.environment)
        }
    }
}

/// The flags that decide what is compiled.
struct ModelOptions: ParsableArguments {
    @Option(help: "Processor to compile for: \(Target.allCases.map(\.rawValue).joined(separator: ", ")). Default: this machine's.")
    var target: String?

    @Option(help: "exact: weights as in the checkpoint, f32 arithmetic. balanced: the fast kernels.")
    var precision: String = "balanced"

    @Option(help: "Batch sizes that decode steps are compiled for, such as 1,2,4,8; the largest is max-num-seqs.")
    var decodeGears: String?

    @Option(help: "Most sequences that run at the same time. Default: the largest gear, else \(CompileOptions.defaultMaxSequences).")
    var maxNumSeqs: Int?

    @Option(help: "Longest context in tokens. Default: the model's own limit.")
    var maxModelLen: Int?

    @Option(help: "Most tokens of one step; longer prompts are read in chunks. Default: \(CompileOptions.defaultMaxBatchedTokens).")
    var maxNumBatchedTokens: Int?

    @Option(help: "Choose kernels by the rates in this file, as `vlmc machine` prints them, instead of this machine's.")
    var machine: String?

    func options(_ directory: String) throws -> CompileOptions {
        var options = CompileOptions(directory: directory, target: .here)
        if let target {
            guard let known = Target(rawValue: target) else {
                throw Failure("--target \(target): the targets are \(Target.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            options.target = known
        }
        guard let precision = ArtifactKey.Precision(rawValue: precision) else {
            throw Failure("--precision \(precision): it is exact or balanced")
        }
        options.precision = precision
        options.gears = try decodeGears.map { text in
            try text.split(separator: ",", omittingEmptySubsequences: false).map { word in
                guard let gear = Int(word) else { throw Failure("--decode-gears \(text): \"\(word)\" is no number") }
                return gear
            }
        }
        options.maxSequences = maxNumSeqs
        options.maxModelLength = maxModelLen
        options.maxBatchedTokens = maxNumBatchedTokens
        options.verifies = (ProcessInfo.processInfo.environment["VLM_DEBUG"].flatMap { Int($0) } ?? 0) >= 1
        return options
    }

    func resolvedMachine(_ store: Store) throws -> Machine {
        guard let machine else { return Machine.current(store) }
        return try Failure.wrapping { () throws(CompileError) in try Machine.read(machine) }
    }
}
