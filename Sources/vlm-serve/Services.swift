import ArtifactFormat
import CommandLineSupport
import Foundation
import HTTPAPI
import Logging
import ModelRuntime
import Plan
import ServiceLifecycle
import Serving
import Synchronization

/// Loads the input pipeline beside the engine, says when the server is ready, and ends the process when it cannot be.
struct StartService: Service {
    let model: ServedModel
    let report: StartReport
    let door: DoorSign
    let loadPipeline: @Sendable () throws -> InputPipeline

    func run() async throws {
        let began = ContinuousClock.now
        let pipeline = try await Task.detached(operation: loadPipeline).value
        let seconds = (ContinuousClock.now - began).seconds
        model.engine.updateMetrics { $0.startup.append((phase: "tokenizer", seconds: seconds)) }
        model.pipeline = pipeline
        do {
            try await cancelWhenGracefulShutdown {
                while !model.isReady || door.address == nil {
                    if case .failed(let reason) = model.engine.phase { throw LaunchError(reason) }
                    try await Task.sleep(for: .milliseconds(2))
                }
                report.show(model.engine)
                if let address = door.address { ServerLog.say("listening on \(address)") }
            }
            try await gracefulShutdown()
        } catch is CancellationError {
            return
        }
    }
}

/// Where the server can be reached, once it listens.
final class DoorSign: Sendable {
    private let host: String
    private let scheme: String
    private let bound = Mutex<Int?>(nil)

    init(host: String, isSecure: Bool) { (self.host, scheme) = (host, isSecure ? "https" : "http") }

    var port: Int? {
        get { bound.withLock { $0 } }
        set { bound.withLock { $0 = newValue } }
    }

    /// `http://HOST:PORT` or `https://HOST:PORT`, an IPv6 address in brackets; nil before there is a port.
    var address: String? { port.map { "\(scheme)://\(host.contains(":") ? "[\(host)]" : host):\($0)" } }
}

/// On graceful shutdown, refuses new requests and waits for those at work; says what it waits for.
struct DrainService: Service {
    let engine: Engine
    let timeout: Duration
    let log: Logger

    private static let interval = Duration.seconds(5)

    func run() async throws {
        let isAsked = (try? await gracefulShutdown()) != nil
        let began = ContinuousClock.now
        if engine.requests > 0 { tell(timeout) }
        let telling = Task {
            while true {
                try await Task.sleep(for: Self.interval)
                tell(max(.zero, timeout - (ContinuousClock.now - began)))
            }
        }
        let cut = await engine.drain(timeout: timeout)
        telling.cancel()
        guard isAsked else { return }
        if cut > 0 { log.warning("drained: \(cut) cut after \(timeout.components.seconds) s") } else { log.info("drained") }
    }

    private func tell(_ left: Duration) {
        let (all, sequences, waiting, seconds) = (engine.requests, engine.inFlight, engine.metrics.waiting, Int(left.components.seconds))
        let parts = sequences == all ? ", \(waiting)" : " with \(sequences) sequences, \(waiting) of them"
        log.info(
            "draining: \(all) \(all == 1 ? "request" : "requests")\(parts) waiting; at most \(seconds) s",
            metadata: [
                "requests": .stringConvertible(all), "sequences": .stringConvertible(sequences), "waiting": .stringConvertible(waiting),
                "seconds": .stringConvertible(seconds),
            ])
    }
}

/// The block of lines that operators read at the start.
struct StartReport: Sendable {
    private let lines: [String]
    private let began: ContinuousClock.Instant
    private let isShown: Bool

    init(
        artifact: Artifact, adapters: [LoadedAdapter], draft: Artifact?, configuration: EngineConfiguration, threads: String, began: ContinuousClock.Instant, isShown: Bool
    ) {
        self.began = began
        self.isShown = isShown
        let manifest = artifact.manifest
        func hundredths(_ value: Double) -> Double { (value * 100).rounded() / 100 }
        let blocks = configuration.blockCount
        let kvBytes = Figures.bytes(blocks * configuration.blockBytes)
        let ofAdapters = adapters.isEmpty ? [] : [
            "adapters     " + adapters.map(\.name).joined(separator: ", ")
                + ", \(configuration.maxAdapters) at once, \(Figures.bytes(adapters.reduce(0) { $0 + $1.byteCount }))"
        ]
        var lines = [
            "model        \(manifest.provenance.model) (\(manifest.provenance.architecture))",
            "target       \(manifest.key.target.rawValue), tuned for \(manifest.tuning.processor)",
            "threads      \(threads)",
            "gears        \(configuration.gears.map(String.init).joined(separator: ", ")) for at most "
                + "\(configuration.maxSequences) sequences, \(configuration.maxBatchedTokens) tokens per step",
            "KV cache     \(blocks) blocks of \(configuration.blockSize) tokens, \(kvBytes)",
            "maximum concurrency for \(configuration.maxModelLength) tokens per request: \(hundredths(configuration.maxConcurrency)) "
                + "(the KV cache holds \(hundredths(configuration.cacheConcurrency)), --max-num-seqs is \(configuration.maxSequences))",
            "weights      \(Figures.bytes(artifact.weightBytes.count)) mapped",
        ] + ofAdapters
        if let lookup = configuration.lookup {
            lines.append("speculation  up to \(lookup.count) tokens, where the last \(lookup.runs.lowerBound) to \(lookup.runs.upperBound) stood before")
        }
        if let draft, let own = configuration.draft {
            lines.append(
                "speculation  up to \(own.limits.count) tokens, guessed by \(draft.manifest.provenance.model), "
                    + "\(Figures.bytes(draft.weightBytes.count)) mapped, \(Figures.bytes(blocks * own.blockBytes)) of KV cache")
        }
        self.lines = lines
    }

    func show(_ engine: Engine) {
        guard isShown else { return }
        let total = (ContinuousClock.now - began).seconds
        let phases = engine.metrics.startup.map { "\($0.phase) \(Console.seconds($0.seconds))" }.joined(separator: ", ")
        for line in lines + ["ready in \(Console.seconds(total)): \(phases)"] { ServerLog.running.info("\(line)") }
    }
}
