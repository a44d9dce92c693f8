import ArtifactFormat
import CommandLineSupport
import HTTPAPI
import Inputs
import Logging
import MediaFetching
import ModelRuntime
import ServiceLifecycle
import Serving

/// Why the server does not start or stopped, with the next step.
struct LaunchError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// Starts the engine and the HTTP server over an artifact, and runs until told to stop.
struct Launch {
    let served: ServedArtifact
    let network: NetworkOptions
    /// Open already; nil for one that is to be opened.
    let port: OpenPort?
    /// Nil for plain HTTP.
    let tls: ServerTLS?
    let engine: EngineFlags
    let inputs: InputFlags
    let media: MediaRules

    func run() async throws {
        let began = ContinuousClock.now
        let signals = await StopSignals()
        defer { signals.cancel() }
        let logs = network.logLevel == .debug || network.logLevel == .info
        let log = ServerLog.running
        let session = try served.session { notice in log.tell(notice) }
        let model = try served.model(session, names: network.servedModelNames)
        let report = StartReport(
            artifact: served.artifact, adapters: served.adapters, draft: served.draft, configuration: session.engine.configuration, threads: engine.threadsAndWhy, began: began, isShown: logs)
        var options = network.options(tls)
        try inputs.set(&options)
        options.media = media
        options.reportsCachedTokens = network.reportCachedTokens
        options.hasPlayground = network.playground
        options.hasDocuments = network.docs
        options.version = toolVersion
        if !network.disableLogRequests { options.requestLog = { line in log.log(line) } }
        let door = DoorSign(host: network.host, isSecure: tls != nil)
        options.onListening = { port in door.port = port }
        let start = StartService(model: model, report: report, door: door) { [served] in try served.pipeline(session) }
        let timeout = Duration.seconds(network.shutdownTimeout)
        try await serve(
            [
                APIServer(model: model, options: options, port: port), start, DrainService(engine: session.engine, timeout: timeout, log: log),
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
}
