import ArgumentParser
import ArtifactFormat
import CommandLineSupport
import Compiler
import CPUBackend
import Foundation
import Plan

/// Which store; the same everywhere.
struct StoreOption: ParsableArguments {
    @Option(name: .customLong("store"), help: "Store directory; else $VLM_STORE, else $XDG_CACHE_HOME/vlm, else ~/.cache/vlm.")
    var path: String?

    @Flag(help: "Use a store that other users own or may write to; VLM_TRUST_STORE=1 says the same.")
    var trustStore = false

    /// The store, which nobody else may write to unless that was allowed.
    func resolved() throws -> Store {
        try Failure.wrapping { () throws(ArtifactError) in
            let store = try Store.resolve(option: path, environment: ProcessInfo.processInfo.environment, trustsOthers: trustStore)
            try store.requireTrusted()
            return store
        }
    }
}

extension StoreOption {
    /// The path of the one artifact that a path, the beginning of a key or a model's name means, and that others may not write to.
    func artifact(_ name: String) throws -> String {
        if FileManager.default.fileExists(atPath: name) { return try trusted(name) }
        let store = try resolved()
        return try trusted(try Failure.wrapping { () throws(ArtifactError) in try store.findOne(name) })
    }

    /// The path, once it is known that others may not write to the store where it lies; warns where they may and it lies elsewhere.
    private func trusted(_ path: String) throws -> String {
        let trustsOthers = trustStore || Store.trustsOthers(ProcessInfo.processInfo.environment)
        let warning = try Failure.wrapping { () throws(ArtifactError) in
            try Store.checkTrust(artifact: path, trustsOthers: trustsOthers)
        }
        if let warning { Terminal.warn(warning) }
        return path
    }

    /// The same where model directories and files will do; a path where nothing is stays as it is, for its reader to say.
    func source(_ name: String) throws -> String {
        let files = FileManager.default
        if files.fileExists(atPath: name) { return files.fileExists(atPath: name + "/manifest.json") ? try trusted(name) : name }
        if let folder = ModelName.downloaded(name) { return folder }
        let store = try resolved()
        let found: String
        do throws(ArtifactError) { found = try store.findOne(name) } catch {
            switch error {
            case .notFound, .notAnArtifact: return try ModelName.directory(name)
            default: throw Failure("\(error)")
            }
        }
        return try trusted(found)
    }
}

/// The flags that decide what is compiled.
struct ModelOptions: ParsableArguments {
    @Option(help: "Processor to compile for: \(Target.allCases.map(\.rawValue).joined(separator: ", ")). Default: this machine's.")
    var target: String?

    @Option(help: "exact: weights as in the checkpoint, f32 arithmetic. balanced: the fast kernels.")
    var precision: String = "balanced"

    @Option(
        help: """
            Round linear layers: none, int8 (the decoder's but the one that makes the logits, to w8a8, a scale for each output and for each \
            row that is read), int8-vision (the vision tower's), int8-all, int4 (the decoder's, to 4 bits in groups of 128 inputs, or 64 or 32), or \
            int4-all (the vision tower's to int8 beside it). A layer whose weight would be more than 3 % off in int8, or 20 % in int4, stays as it is; \
            vlm-cache passes ARTIFACT --pass quantize-layers says by how much each is. Needs balanced precision; a decoder that is quantized \
            already takes int8-vision alone.
            """)
    var quantize: String = "none"

    @Flag(help: "Let adapters (LoRA) change the decoder's layers, as vlm-serve --enable-lora asks for.")
    var enableLora = false

    @Option(help: "Batch sizes that decode steps are compiled for, such as 1,2,4,8; the largest is max-num-seqs.")
    var decodeGears: String?

    @Option(help: "Most sequences that run at the same time. Default: the largest gear, else \(CompileOptions.defaultMaxSequences).")
    var maxNumSeqs: Int?

    @Option(help: "Longest context in tokens. Default: the model's own limit.")
    var maxModelLen: Size?

    @Option(help: "Most tokens of one step; longer prompts are read in chunks. Default: \(CompileOptions.defaultMaxBatchedTokens).")
    var maxNumBatchedTokens: Size?

    @Option(help: "Choose kernels by the rates in this file, as `vlmc machine` prints them, instead of this machine's.")
    var machine: String?

    func options(_ directory: String) throws -> CompileOptions {
        var options = CompileOptions(directory: directory, target: .here)
        if let target {
            guard let known = Target(rawValue: target) else {
                throw ValidationError("--target \(target): the targets are \(Target.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            options.target = known
        }
        guard let precision = ArtifactKey.Precision(rawValue: precision) else {
            throw ValidationError("--precision \(precision): it is exact or balanced")
        }
        options.precision = precision
        if quantize != "none" {
            guard let rounding = LayerRounding(rawValue: quantize) else {
                throw ValidationError("--quantize \(quantize): it is \((["none"] + LayerRounding.allCases.map(\.rawValue)).joined(separator: " or "))")
            }
            options.rounding = rounding
        }
        options.gears = try decodeGears.map { text in
            try text.split(separator: ",", omittingEmptySubsequences: false).map { word in
                guard let gear = Int(word), gear >= 1 else { throw ValidationError("--decode-gears \(text): \"\(word)\" is no number of sequences") }
                return gear
            }
        }
        options.takesAdapters = enableLora
        options.maxSequences = maxNumSeqs
        options.maxModelLength = maxModelLen?.value
        options.maxBatchedTokens = maxNumBatchedTokens?.value
        options.verifies = DebugLevel.current >= .verify
        return options
    }

    func resolvedMachine(_ store: Store) throws -> Machine {
        let machine = try describedMachine() ?? Machine.current(store)
        machine.warning.map(Terminal.warn)
        return machine
    }

    /// The machine of `--machine`; nil without the flag.
    func describedMachine() throws -> Machine? {
        guard let machine else { return nil }
        let bytes = try Failure.wrapping { () throws(FileError) in try InputFile.read(machine) }
        return try Failure.wrapping { () throws(CompileError) in try Machine.read(bytes, of: machine) }
    }
}
