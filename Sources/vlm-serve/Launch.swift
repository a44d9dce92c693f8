import ArtifactFormat
import CPUBackend
import Execution
import Foundation
import HTTPAPI
import Logging
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
    private let artifact: String
    /// Whether an artifact is served whoever may have written it.
    private let trustsOthers: Bool
    private let network: NetworkOptions
    private let engine: EngineFlags
    private let inputs: InputFlags

    /// - Parameter name: a path, the beginning of a key, or a model's name in the store that `store` names or the environment.
    init(
        named name: String, store: String?, trustStore: Bool, network: NetworkOptions, engine: EngineFlags, inputs: InputFlags
    ) throws {
        (self.network, self.engine, self.inputs) = (network, engine, inputs)
        let environment = ProcessInfo.processInfo.environment
        trustsOthers = trustStore || Store.trustsOthers(environment)
        guard !FileManager.default.fileExists(atPath: name) else {
            artifact = name
            return
        }
        artifact = try Store.resolve(option: store, environment: environment, trustsOthers: trustsOthers).findOne(name)
    }

    func run() async throws {
        let began = ContinuousClock.now
        let signals = await StopSignals()
        defer { signals.cancel() }
        let opened = try open()
        let program = opened.artifact.program
        let configuration = try EngineConfiguration(
            program: program, options: engine.options(imageCacheBytes: inputs.imageCacheBytes),
            availableBytes: MachineMemory.availableBytes)
        let threads = engine.threads
        let logs = network.logLevel == .debug || network.logLevel == .info
        let running = Engine(configuration: configuration, log: { line in if logs { Console.log(line) } }) {
            try opened.artifact.checkWeights()
            return try CPUBackend(threads: threads).load(opened.artifact)
        }
        let model = ServedModel(names: names(opened.artifact), baseName: baseName(opened.artifact), root: artifact, engine: running)
        let report = StartReport(artifact: opened.artifact, configuration: configuration, began: began, isShown: logs)
        var options = APIServer.Options()
        options.host = network.host
        options.port = network.port
        options.maxBodyBytes = network.maxBodyBytes
        options.access = network.access
        options.reportsCachedTokens = network.reportCachedTokens
        for warning in network.warnings { Console.say("warning: \(warning)") }
        options.preparationCPUSeconds = inputs.maxRequestCpuSeconds
        options.preparationSeconds = inputs.requestDeadline
        options.maxConnections = OpenFiles.connectionsMax()
        options.version = toolVersion
        if logs, !network.disableLogRequests { options.requestLog = { line in Console.log(line) } }
        let door = DoorSign(host: network.host)
        options.onListening = { port in door.port = port }
        let start = StartService(model: model, report: report, door: door) { [inputs] in
            try Self.pipeline(opened.artifact, configuration: configuration, maxImagePixels: inputs.maxImagePixels)
        }
        let timeout = Duration.seconds(network.shutdownTimeout)
        try await serve(
            [
                APIServer(model: model, options: options), start, DrainService(engine: running, timeout: timeout),
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

    /// An artifact that threads may share: it is only read.
    private struct Opened: @unchecked Sendable {
        let artifact: Artifact
    }

    private func open() throws -> Opened {
        let files = FileManager.default
        let isModel = ["/config.json", "/snapshots"].contains { files.fileExists(atPath: artifact + $0) }
        if isModel, !files.fileExists(atPath: artifact + "/manifest.json") {
            throw LaunchError(
                "\(artifact) is a model directory, not an artifact; compile it first:\n"
                    + "  vlm-serve \"$(vlmc compile \(artifact))\"")
        }
        if let warning = try Store.checkTrust(artifact: artifact, trustsOthers: trustsOthers) { Console.say("warning: \(warning)") }
        let opened = try Artifact.open(directory: artifact)
        try opened.requireRunnable(on: CPUBackend.features)
        return Opened(artifact: opened)
    }

    private func baseName(_ opened: Artifact) -> String? {
        network.servedModelNames.isEmpty ? opened.manifest.provenance.model : nil
    }

    private func names(_ opened: Artifact) -> [String] {
        network.servedModelNames.isEmpty ? [opened.manifest.provenance.model, artifact] : network.servedModelNames
    }

    /// Tokenizer, chat template and picture processor of an artifact.
    private static func pipeline(
        _ artifact: Artifact, configuration: EngineConfiguration, maxImagePixels: Int
    ) throws -> InputPipeline {
        let pipeline = try InputPipeline(
            artifact, maxPatches: configuration.maxPatches, maxImagePixels: maxImagePixels, contextLength: configuration.maxModelLength)
        if let fault = pipeline.refusal { Console.say("warning: \(fault)") }
        return pipeline
    }
}
