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
            whichever takes longer, by rates that are measured right before and right after, since memory is not always equally fast; \
            a model small enough for the caches may do better than memory.
            """)

    @Argument(
        help: "A HuggingFace model directory, or OWNER/NAME in HuggingFace's cache; or an artifact: its directory, the beginning of its key, or its model's name.")
    var model: String

    @Option(help: "Tokens of each prompt.")
    var prompt = Size(512)

    @Option(help: "Tokens that each sequence decodes.")
    var tokens = Size(32)

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

    @Option(help: "Also write a page for browsers: figures, a roofline plot, and where the time of each entry and layer goes.")
    var html: String?

    @OptionGroup var store: StoreOption
    @OptionGroup var compiling: CompilingOption
    @OptionGroup var computing: ComputeOptions

    func validate() throws {
        for (flag, value, least) in [("--prompt", prompt.value, 1), ("--tokens", tokens.value, 2), ("--rounds", rounds, 1)] where value < least {
            throw ValidationError("\(flag) \(value) must be at least \(least)")
        }
        _ = try sequences.map { try Self.numbers($0, of: "--sequences") }
        guard let contexts else { return }
        let lengths = try Self.numbers(contexts, of: "--contexts")
        guard lengths.count > 1, zip(lengths, lengths.dropFirst()).allSatisfy(<) else {
            throw ValidationError("--contexts \(contexts): name two lengths or more, each greater than the one before")
        }
    }

    func run() throws {
        if let html { try Failure.wrapping { () throws(FileError) in try OutputFile.check(html) } }
        let machine = Machine.current(try store.resolved())
        machine.warning.map(Terminal.warn)
        let directory = try store.artifact(model, compiling)
        let run = try BenchRun(directory, threads: computing.threads, machine: machine, prompt: prompt.value, tokens: tokens.value, timesKernels: timesKernels)
        let counts = try counts(run.gears), contexts = try contexts(run.contextMax)
        try run.sample { _ in run.started }
        for _ in 0..<rounds {
            try run.sample { try [$0.prefill()] }
            for count in counts { try run.sample { try [$0.decode(count)] } }
            if !contexts.isEmpty { try run.sample { try $0.growth(contexts) } }
            for image in images { try run.sample { try [$0.image(image)] } }
        }
        let report = run.report(kernels: timesKernels)
        if let html {
            let page = Array(try report.page().utf8)
            try Failure.wrapping { () throws(FileError) in try OutputFile.write(page, to: html) }
        }
        guard !json else { return try StandardOutput.write(try report.json() + "\n") }
        let table = BenchTable(report.figures, heading: report.heading).text
        try StandardOutput.write(table + (kernels ? "\n" + KernelTable(report.kernels ?? []).text : ""))
    }

    private var timesKernels: Bool { kernels || html != nil }

    private func counts(_ gears: [Int]) throws -> [Int] {
        try sequences.map { try Self.numbers($0, of: "--sequences", upTo: gears.last ?? 1) } ?? gears
    }

    private func contexts(_ most: Int) throws -> [Int] {
        try contexts.map { try Self.numbers($0, of: "--contexts", upTo: most) } ?? []
    }

    private static func numbers(_ list: String, of option: String) throws -> [Int] {
        try list.split(separator: ",", omittingEmptySubsequences: false).map { word in
            guard let number = Int(word), number > 0 else { throw ValidationError("\(option) \(list): \"\(word)\" is no number of at least 1") }
            return number
        }
    }

    /// The same, where the artifact takes as many.
    private static func numbers(_ list: String, of option: String, upTo most: Int) throws -> [Int] {
        let numbers = try numbers(list, of: option)
        if let large = numbers.first(where: { $0 > most }) { throw Failure("\(option) \(list): \(large) is not in 1 … \(most)") }
        return numbers
    }
}
