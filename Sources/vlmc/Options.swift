import ArgumentParser
import ArtifactFormat
import CommandLineSupport
import Compiler
import CPUBackend
import Foundation
import Plan

/// The flags that decide what is compiled.
struct ModelOptions: ParsableArguments {
    @Option(help: "Processor to compile for: \(Target.allCases.map(\.rawValue).joined(separator: ", ")). Default: this machine's.")
    var target: String?

    @Option(help: "exact: weights as in the checkpoint, f32 arithmetic. balanced: the fast kernels.")
    var precision: String = "balanced"

    @Option(
        help: """
            Round linear layers: none, int8 (the decoder's but the one that makes the logits, to w8a8, a scale for each output and for each \
            row that is read), int8-vision (the vision tower's), int8-all, int4 (the decoder's, to 4 bits in groups of 128 inputs, or 64 or 32), \
            int4-all (the vision tower's to int8 beside it), or awq-int4 and awq-int4-all (the same, with AWQ's scales, searched on the inputs of --calibration). \
            A layer whose weight would be more than 3 % off in int8 stays as it is; one that would be more than 20 % off in int4 becomes int8. \
            vlm-cache passes ARTIFACT --pass quantize-layers says by how much each is. Needs balanced precision; a decoder that is quantized \
            already takes int8-vision alone.
            """)
    var quantize: String = "none"

    @Option(
        help: """
            For awq-int4: what the model is computed on while scales are searched. builtin: a few prompts in several languages and pictures drawn by \
            code. DIR: NAME.txt, a prompt, with the picture NAME.png or .jpg where there is one; .jsonl, lines of {"text", "images", "answer"}; \
            other pictures. At most \(CalibrationInputs.tokensMax) tokens are read.
            """)
    var calibration: String?

    @Option(help: "Keep a layer wider whose error is above so many percent: of its weight, or of its outputs where --calibration is. Default: 3 for int8, 20 for int4.")
    var quantizeBound: Double?

    @Flag(help: "Let adapters (LoRA) change the decoder's layers, as vlm-serve --enable-lora asks for.")
    var enableLora = false

    @Option(help: "Batch sizes that decode steps are compiled for, such as 1,2,4,8; the largest is max-num-seqs.")
    var decodeGears: String?

    @Option(help: "Most sequences that run at the same time. Default: the largest gear, else \(CompileOptions.defaultMaxSequences).")
    var maxNumSeqs: Int?

    @Option(parsing: .unconditional, help: "Longest context in tokens. auto, -1 and default: the model's own limit.")
    var maxModelLen: ModelLength?

    @Option(help: "Most tokens of one step; longer prompts are read in chunks. Default: \(CompileOptions.defaultMaxBatchedTokens).")
    var maxNumBatchedTokens: Size?

    @Option(help: "Choose kernels by the rates in this file, as `vlmc machine` prints them, instead of this machine's; else $VLM_MACHINE.")
    var machine: String?

    func validate() throws {
        do { try options("").check() } catch let error as CompileError { throw ValidationError("\(error)") }
    }

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
                throw ValidationError("--quantize \(quantize) is not one of \((["none"] + LayerRounding.allCases.map(\.rawValue)).joined(separator: ", "))")
            }
            options.rounding = rounding
        }
        if calibration != nil, options.rounding?.isCalibrated != true { throw ValidationError("--calibration is for --quantize awq-int4") }
        if let quantizeBound {
            guard options.rounding != nil else { throw ValidationError("--quantize-bound is for --quantize") }
            guard quantizeBound > 0, quantizeBound <= 100 else { throw ValidationError("--quantize-bound \(quantizeBound): it is percent, above 0 and at most 100") }
            options.roundingBound = quantizeBound / 100
        }
        options.gears = try decodeGears.map { text in
            try text.split(separator: ",", omittingEmptySubsequences: false).map { word in
                guard let gear = Int(word), gear >= 1 else { throw ValidationError("--decode-gears \(text): \"\(word)\" is no number of sequences") }
                return gear
            }
        }
        options.takesAdapters = enableLora
        options.maxSequences = maxNumSeqs
        options.maxModelLength = maxModelLen?.tokens
        options.maxBatchedTokens = maxNumBatchedTokens?.value
        options.verifies = try DebugLevel.current >= .verify
        return options
    }

    func resolvedMachine(_ store: Store) throws -> Machine {
        let variable = ProcessInfo.processInfo.environment["VLM_MACHINE"].flatMap { $0.isEmpty ? nil : $0 }
        let machine = try describedMachine() ?? variable.map(Self.machine(at:)) ?? Machine.current(store)
        machine.warning.map(Terminal.warn)
        return machine
    }

    /// The machine of `--machine`; nil without the flag.
    func describedMachine() throws -> Machine? {
        try machine.map(Self.machine(at:))
    }

    private static func machine(at path: String) throws -> Machine {
        let bytes = try Failure.wrapping { () throws(FileError) in try InputFile.read(path) }
        return try Failure.wrapping { () throws(CompileError) in try Machine.read(bytes, of: path) }
    }
}
