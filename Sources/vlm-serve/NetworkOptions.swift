import ArgumentParser
import CommandLineSupport
import Foundation
import HTTPAPI

/// Where and to whom the server answers.
struct NetworkOptions: ParsableArguments {
    @Option(help: "Address to listen on, an IPv6 address with brackets or without; 0.0.0.0 for all.", transform: Self.address)
    var host = "127.0.0.1"
    @Option(help: "Port to listen on; 0 for a free one, which is printed.")
    var port = 8000
    @Option(
        name: .customLong("served-model-name"),
        help: "A name that requests may use; may be given more than once, the first is the one in answers.")
    var servedModelNames: [String] = []
    @Option(
        name: .customLong("api-key"),
        help: "A key that requests must send as Authorization: Bearer KEY or x-api-key: KEY; may be given more than once. Unless given, VLLM_API_KEY and VLM_API_KEY in the environment, which other users cannot read, hold one key each. Probes (/health, /ready, /live, /ping) and the pages /, /docs and /openapi.json, which hold no data, need none.")
    var apiKeys: [String] = []
    @Option(
        parsing: .singleValue,
        help: "A page's origin, such as https://chat.example, that may use this server from a browser, * for all; may be given more than once.")
    var allowedOrigins: [String] = []
    @Option(
        parsing: .singleValue,
        help: "A name that the Host header may hold, * for all; may be given more than once. Addresses and localhost always may. Unless given, a server on a loopback address takes no other names, and one elsewhere all.")
    var allowedHosts: [String] = []
    @Flag(
        inversion: .prefixedNo,
        help: "Say in usage how many prompt tokens were cached. It tells one client what others asked; cache_salt in requests keeps them apart.")
    var reportCachedTokens = true
    @Flag(
        inversion: .prefixedNo,
        help: "Show a page at / to try the model with in a browser. It holds nothing secret and needs no key; what it asks for does.")
    var playground = true
    @Flag(inversion: .prefixedNo, help: "Describe the routes at /openapi.json and /docs, which hold nothing secret and need no key.")
    var docs = true
    @Option(help: "Most bytes of a request's body.")
    var maxBodyBytes = Size(argument: "64Mi") ?? Size(64 << 20)
    @Option(help: "Seconds that requests at work may take to end after SIGTERM; then they are cut, and 5 seconds later the process ends.")
    var shutdownTimeout = 30
    @Option(help: "How much is logged: info and debug say what starts and each request, warning and error only what is wrong.")
    var logLevel = LogLevel.info
    @Option(help: "How lines of the log on stderr look: text, or json for an object in each line: time, level, message, and for requests request_id, method, path, status, ms, prompt_tokens and completion_tokens. No line holds what was asked or answered. What vlmc says of a compile is text.")
    var logFormat = LogFormat.text
    @Flag(name: .customLong("disable-log-requests"), help: "No line per request.")
    var disableLogRequests = false

    func validate() throws {
        guard (0...65535).contains(port) else { throw ValidationError("--port \(port) is not in 0 … 65535") }
        guard !host.isEmpty else { throw ValidationError("--host is empty") }
        guard (1...1 << 40).contains(maxBodyBytes.value) else {
            throw ValidationError("--max-body-bytes \(maxBodyBytes.value) is not in 1 … 2^40")
        }
        guard (0...86400).contains(shutdownTimeout) else {
            throw ValidationError("--shutdown-timeout \(shutdownTimeout) is not in 0 … 86400 seconds")
        }
        guard apiKeys.allSatisfy({ !$0.isEmpty }) else { throw ValidationError("--api-key is empty") }
        for (name, key) in Self.environmentKeys where key.isEmpty { throw ValidationError("\(name) holds white space alone, which is no key") }
        if let origin = allowedOrigins.first(where: { !AccessRules.isOrigin($0) }) {
            throw ValidationError("--allowed-origins \(origin) is no origin of a page, such as https://chat.example or http://localhost:3000, and not *")
        }
        guard servedModelNames.allSatisfy({ !$0.isEmpty }) else { throw ValidationError("--served-model-name is empty") }
    }
}

extension NetworkOptions {
    /// Without the brackets that an IPv6 address has in a URL.
    @Sendable private static func address(_ text: String) -> String {
        let inner = text.dropFirst().dropLast()
        return text.hasPrefix("[") && text.hasSuffix("]") && inner.contains(":") ? String(inner) : text
    }

    /// Whether only this machine reaches the address.
    private var isLoopback: Bool { host == "localhost" || host == "::1" || host.hasPrefix("127.") }

    /// How the server listens, and to whom.
    func options(_ tls: ServerTLS?) -> APIServer.Options {
        var options = APIServer.Options()
        (options.host, options.port, options.tls) = (host, port, tls)
        options.maxConnections = OpenFiles.connectionsMax()
        options.maxBodyBytes = maxBodyBytes.value
        options.access = access
        return options
    }

    /// Keys of the command line and the environment, and who else is let in.
    var access: AccessRules {
        var access = AccessRules()
        access.apiKeys = apiKeys.isEmpty ? Self.environmentKeys.map(\.key) : apiKeys
        access.allowedOrigins = allowedOrigins
        access.allowedHosts = allowedHosts.isEmpty ? [isLoopback ? host : "*"] : allowedHosts
        return access
    }

    /// One key in each variable that is not empty, without white space around it, such as a file's last newline.
    private static var environmentKeys: [(name: String, key: String)] {
        ["VLLM_API_KEY", "VLM_API_KEY"].compactMap { name in
            guard let value = ProcessInfo.processInfo.environment[name], !value.isEmpty else { return nil }
            return (name, value.trimmingCharacters(in: .whitespacesAndNewlines))
        }
    }

    /// What an operator should know before the port opens.
    var warnings: [String] {
        var warnings: [String] = []
        if access.apiKeys.isEmpty, !isLoopback { warnings.append("whoever reaches \(host) may use this server; --api-key asks for a key") }
        if !apiKeys.isEmpty {
            warnings += Self.environmentKeys.map { "\($0.name) is no key of this server: --api-key is given" }
            return warnings
        }
        for (name, key) in Self.environmentKeys where key.contains(where: { $0 == "," || $0.isWhitespace }) {
            warnings.append("\(name) is taken as one key, commas and spaces included; give several by --api-key, once for each")
        }
        return warnings
    }
}
