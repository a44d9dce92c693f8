import ArtifactFormat
import CommandLineSupport
import CPUBackend
import Foundation
import HTTPAPI
import Inputs
import Logging
import ModelRuntime
import Plan
import ServiceLifecycle
import Serving

/// Why the server does not start or stopped, with the next step.
struct LaunchError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// Opens an artifact, starts the engine and the HTTP server, and runs until told to stop.
struct Launch {
    /// The artifact's directory.
    private let path: String
    private let choice: ArtifactChoice
    private let compiled: CompiledFlags
    private let network: NetworkOptions
    private let engine: EngineFlags
    private let inputs: InputFlags
    private let media: MediaFlags
    private let answers: AnswerFlags

    /// Compiles the model first where the choice is one that the store does not have.
    init(
        _ choice: ArtifactChoice, _ compiled: CompiledFlags, network: NetworkOptions, engine: EngineFlags, inputs: InputFlags, media: MediaFlags,
        answers: AnswerFlags
    ) throws {
        (self.choice, self.compiled, self.network, self.engine) = (choice, compiled, network, engine)
        (self.inputs, self.media, self.answers) = (inputs, media, answers)
        path = try choice.path()
    }

    func run() async throws {
        let began = ContinuousClock.now
        let signals = await StopSignals()
        defer { signals.cancel() }
        let artifact = try open()
        let (generation, overriding) = (try answers.generation(), try answers.overriding())
        let logs = network.logLevel == .debug || network.logLevel == .info
        let session = try Session(
            artifact, on: CPUBackend(threads: engine.threads), options: engine.options(imageCacheBytes: inputs.imageCacheBytes.value),
            log: { line in if logs { Console.log(line) } })
        let model = ServedModel(names: names(artifact), baseName: baseName(artifact), root: path, engine: session.engine, seed: answers.seed)
        let report = StartReport(
            artifact: artifact, configuration: session.engine.configuration, threads: engine.threadsAndWhy, began: began, isShown: logs)
        var options = APIServer.Options()
        options.host = network.host
        options.port = network.port
        options.maxBodyBytes = network.maxBodyBytes.value
        options.access = network.access
        options.maxImages = try inputs.maxImages
        options.media = try media.rules()
        options.reportsCachedTokens = network.reportCachedTokens
        options.hasPlayground = network.playground
        options.hasDocuments = network.docs
        for warning in network.warnings { Console.say("warning: \(warning)") }
        options.preparationCPUSeconds = inputs.maxRequestCpuSeconds
        options.preparationSeconds = inputs.requestDeadline
        options.maxConnections = OpenFiles.connectionsMax()
        options.version = toolVersion
        if logs, !network.disableLogRequests { options.requestLog = { line in Console.log(line) } }
        let door = DoorSign(host: network.host)
        options.onListening = { port in door.port = port }
        let start = StartService(model: model, report: report, door: door) { [inputs] in
            var pipeline = try session.pipeline(maxImagePixels: inputs.maxImagePixels)
            pipeline.generation = (generation ?? pipeline.generation).overridden(by: overriding)
            if let fault = pipeline.refusal { Console.say("warning: \(fault)") }
            let bounds = try inputs.pixelBounds
            do throws(ImageError) { return try pipeline.bounding(bounds) } catch {
                throw LaunchError("--mm-processor-kwargs: \(error)")
            }
        }
        let timeout = Duration.seconds(network.shutdownTimeout)
        try await serve(
            [
                APIServer(model: model, options: options), start, DrainService(engine: session.engine, timeout: timeout),
            ], timeout: timeout, signals)
    }

    /// How long connections may take to close once the time for requests is over.
    private static let closingTime = Duration.seconds(5)

    /// Services stop in reverse order: the engine first, so that answers still find their way out.
    private func serve(_ services: [any Service], timeout: Duration, _ signals: StopSignals) async throws {
        var configuration = ServiceGroupConfiguration(
            services: services.map { ServiceGroupConfiguration.ServiceConfiguration(service: $0) },
            logger: Logger(label: "services") { _ in SwiftLogNoOpLogHandler() })
        configuration.maximumGracefulShutdownDuration = timeout + Self.closingTime / 2
        let group = ServiceGroup(configuration: configuration)
        signals.onFirst(grace: timeout + Self.closingTime) { await group.triggerGracefulShutdown() }
        do {
            try await group.run()
        } catch is CancellationError where signals.isStopping {
            return
        } catch let error as ServiceGroupError where !signals.isStopping {
            throw LaunchError("the server stopped: \(error)")
        }
    }

    private func open() throws -> Artifact {
        if let warning = try Store.checkTrust(artifact: path, trustsOthers: choice.trustsOthers) { Console.say("warning: \(warning)") }
        let artifact = try Artifact.open(directory: path)
        try artifact.requireRunnable(on: CPUBackend.features)
        try compiled.check(artifact.manifest)
        return artifact
    }

    private func baseName(_ artifact: Artifact) -> String? {
        network.servedModelNames.isEmpty ? artifact.manifest.provenance.model : nil
    }

    private func names(_ artifact: Artifact) -> [String] {
        network.servedModelNames.isEmpty ? [artifact.manifest.provenance.model, path, choice.name] : network.servedModelNames
    }
}
