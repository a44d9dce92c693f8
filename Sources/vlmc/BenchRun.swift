import ArtifactFormat
import Budgets
import CPUBackend
import CommandLineSupport
import Compiler
import Foundation
import HostLimits
import Inputs
import JSON
import ModelRuntime
import Serving

/// The engine that a server would run, measured.
final class BenchRun {
    /// How long it took until the engine served, and until a short prompt had its first token.
    private(set) var started: [BenchSample] = []
    let heading: String
    let session: Session
    let threads: Int
    private(set) var figures: [BenchFigure] = []
    /// The machine as it was beside each figure, and as it is now.
    private var machines: [Machine] = []
    private var machine: Machine
    private let rates: RateMeasurement
    let clock = StepClock()
    let prompt, tokens: Int
    var pipeline: InputPipeline?

    /// - Parameter timesKernels: whether `kernels()` is asked for, which costs a little time for each step.
    init(_ directory: String, threads: Int?, machine: Machine, prompt: Int, tokens: Int, timesKernels: Bool) throws {
        self.threads = threads ?? Processors.ofThisProcess.threads
        rates = RateMeasurement(threads: self.threads)
        let began = ContinuousClock.now
        let artifact = try Failure.wrapping { () throws(ArtifactError) in try Artifact.open(directory: directory) }
        var options = EngineOptions()
        options.imageCacheBytes = 0
        // So that all decode side by side soon.
        options.pacesPrompts = false
        let backend = CPUBackend(threads: threads, clock: timesKernels ? clock : nil)
        session = try Failure.wrapping { () throws(ConfigurationError) in
            try Session(artifact, on: backend, options: options)
        }
        let engine = session.engine
        try Failure.wrapping { () throws(EngineFailure) in try engine.waitUntilServing() }
        let ready = Self.seconds(since: began)
        heading = "\(artifact.manifest.provenance.model), \(artifact.manifest.key.precision.rawValue), \(self.threads) \(self.threads == 1 ? "thread" : "threads") of \(machine.processor)"
        let room = engine.configuration.maxModelLength
        guard prompt + tokens + 2 * engine.configuration.maxSequences <= room else {
            throw Failure("--prompt \(prompt) and --tokens \(tokens) do not fit into the context of \(room) tokens")
        }
        (self.prompt, self.tokens, self.machine) = (prompt, tokens, machine)
        let times = TokenTimes()
        _ = try engine.answers([request(times, prompt: ids(min(prompt, Self.shortPrompt)), maxTokens: 1)])
        started = [
            BenchSample(name: "start", unit: BenchFigure.seconds, value: ready),
            BenchSample(name: "start to first token", unit: BenchFigure.seconds, value: Self.seconds(began, times.first)),
        ]
        clock.reset()
        self.machine = rates.now(machine)
    }

    /// Tokens of the prompt whose first token is waited for.
    private static let shortPrompt = 16

    var gears: [Int] { session.engine.configuration.gears }
    /// The longest prompt that leaves room for the tokens that are decoded.
    var contextMax: Int { session.engine.configuration.maxModelLength - tokens }

    /// Measures something once more, and the machine before and after.
    func sample(_ measure: (BenchRun) throws -> [BenchSample]) throws {
        let before = machine
        let samples = try measure(self)
        machine = rates.now(machine)
        let beside = before.best(with: machine)
        machines.append(beside)
        let read = BenchSample(name: "memory", unit: BenchFigure.bandwidth, value: beside.gigabytes(threads: threads) ?? 0)
        for sample in [read] + samples {
            let index = figures.firstIndex { $0.name == sample.name } ?? figures.count
            if index == figures.count { figures.append(BenchFigure(sample)) }
            figures[index].add(sample, on: floors(beside))
        }
    }

    func report(kernels wantsKernels: Bool) -> BenchReport {
        let floors = floors
        return BenchReport(
            heading: heading, figures: figures, kernels: wantsKernels ? kernels() : nil, layers: wantsKernels ? layers() : nil,
            peaks: floors.peaks.map { BenchReport.Peak(arithmetic: $0.arithmetic, gigaOperations: $0.gigaOperations) },
            memory: typical.gigabytes(threads: threads))
    }

    /// By the median of each rate that was measured beside a figure.
    var floors: SpeedFloors { floors(typical) }

    private var typical: Machine {
        var typical = machine
        for name in typical.rates.keys {
            let values = machines.compactMap { $0.rates[name] }.sorted()
            if !values.isEmpty { typical.rates[name] = values[values.count / 2] }
        }
        return typical
    }

    private func floors(_ machine: Machine) -> SpeedFloors {
        let artifact = session.artifact
        return SpeedFloors(artifact.program, weights: artifact.weights, for: artifact.manifest.key.target, machine: machine, threads: threads)
    }

    static func seconds(_ from: ContinuousClock.Instant, _ to: ContinuousClock.Instant) -> Double {
        (to - from) / .seconds(1)
    }

    static func seconds(since began: ContinuousClock.Instant) -> Double { seconds(began, .now) }
}
