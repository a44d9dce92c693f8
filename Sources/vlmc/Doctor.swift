import ArgumentParser
import CPUBackend
import CommandLineSupport
import Compiler
import Foundation
import HostLimits

struct Doctor: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say what a model directory holds, whether it would compile, and what it would take to serve.",
        discussion: """
            Goes the way of a compile up to the plans and on after every fault, so that all of them are told at once. Of weights only \
            the headers are read; nothing is stored. Memory is what serving takes at most; speed is what the machine's measured rates \
            allow.

            Exit code 0 where it would compile, else 1.
            """)

    @Argument(help: "HuggingFace model directory, or OWNER/NAME in HuggingFace's cache.")
    var directory: String

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var store: StoreOption
    @OptionGroup var model: ModelOptions
    @OptionGroup var computing: ComputeOptions

    func run() throws {
        let store = try store.resolved()
        var examination = Examination(
            try model.options(ModelName.directory(directory)), store: store, threads: computing.threads ?? Processors.ofThisProcess.threads)
        try examination.run { try model.resolvedMachine(store) }
        let diagnosis = examination.diagnosis
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            try StandardOutput.write(String(decoding: try encoder.encode(diagnosis), as: UTF8.self) + "\n")
        } else {
            try StandardOutput.write(DiagnosisText(diagnosis).text.visible(keeping: ["\n"]))
        }
        if !diagnosis.wouldCompile { throw ExitCode.failure }
    }
}
