import ArgumentParser
import ArtifactFormat
import CPUBackend
import CommandLineSupport
import Compiler
import Foundation
import ModelRuntime
import Serving

struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure how fast an artifact starts, reads prompts, decodes and encodes images, each beside its floor.",
        discussion: """
            Prompts are of random tokens, decoding is greedy, and no cache helps. Every figure is measured several times in turns, and \
            shown as the median and the extremes. The floor is what the machine \
            could do at best: the bytes that are read over the measured bandwidth, or the operations over the measured rate, \
            whichever takes longer; a model small enough for the caches may do better than memory. On a busy machine measure \
            again.
            """)

    @Argument(help: "An artifact's directory, the beginning of its key, or its model's name.")
    var artifact: String

    @Option(help: "Tokens of each prompt.")
    var prompt = 512

    @Option(help: "Tokens that each sequence decodes.")
    var tokens = 32

    @Option(help: "Sequences that decode side by side, such as 1,4,16. Default: each gear of the artifact.")
    var sequences: String?

    @Option(help: "Lengths of context, shortest first, such as 512,4096,16384: also measures the prefill of each, and by how much a token takes longer for each 1 000 more.")
    var contexts: String?

    @Option(name: .customLong("image"), help: "An image to measure with; may be given several times.")
    var images: [String] = []

    @Option(help: "How often each figure is measured.")
    var rounds = 3

    @Flag(help: "Show which kernels the time of each entry goes to, beside their floors as well.")
    var kernels = false

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var store: StoreOption
    @OptionGroup var computing: ComputeOptions

    func run() throws {
        guard prompt > 0, tokens > 1, rounds > 0 else { throw ValidationError("--prompt and --rounds must be at least 1, --tokens at least 2") }
        let machine = Machine.current(try store.resolved())
        machine.warning.map(Terminal.warn)
        let directory = try store.artifact(artifact)
        var run = try BenchRun(directory, threads: computing.threads, machine: machine, prompt: prompt, tokens: tokens, timesKernels: kernels)
        let counts = try counts(run.gears), contexts = try contexts(run.contextMax)
        var figures: [BenchFigure] = [run.start]
        var samples: [[BenchFigure]] = []
        for _ in 0..<rounds {
            var round = [try run.prefill()]
            for count in counts { round.append(try run.decode(count)) }
            round += try run.growth(contexts)
            for image in images { round.append(try run.image(image)) }
            samples.append(round)
        }
        for index in samples[0].indices {
            var figure = samples[0][index]
            figure.values = samples.flatMap { $0[index].values }.sorted()
            figures.append(figure)
        }
        let times = run.kernels()
        guard json else {
            let table = BenchTable(figures, heading: run.heading).text
            return try StandardOutput.write(table + (kernels ? "\n" + KernelTable(times).text : ""))
        }
        try StandardOutput.write(try jsonText(BenchReport(figures: figures, kernels: kernels ? times : nil)))
    }

    private func counts(_ gears: [Int]) throws -> [Int] {
        try sequences.map { try Self.numbers($0, of: "--sequences", upTo: gears.last ?? 1) } ?? gears
    }

    private func contexts(_ most: Int) throws -> [Int] {
        guard let contexts else { return [] }
        let lengths = try Self.numbers(contexts, of: "--contexts", upTo: most)
        guard lengths.count > 1, zip(lengths, lengths.dropFirst()).allSatisfy(<) else {
            throw Failure("--contexts \(contexts): name two lengths or more, each greater than the one before")
        }
        return lengths
    }

    private static func numbers(_ list: String, of option: String, upTo most: Int) throws -> [Int] {
        try list.split(separator: ",", omittingEmptySubsequences: false).map { word in
            guard let number = Int(word), number > 0, number <= most else { throw Failure("\(option) \(list): \"\(word)\" is not in 1 … \(most)") }
            return number
        }
    }

    private func jsonText(_ report: BenchReport) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(report), as: UTF8.self) + "\n"
    }
}
