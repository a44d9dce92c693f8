import ArgumentParser
import MediaFetching

/// Which images are fetched that requests only name; none unless a flag says so.
struct MediaFlags: ParsableArguments {
    private static let standardTimeout = 5.0

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp(
            "A host that http: and https: images may be fetched from: HOST, HOST:PORT, *.DOMAIN for the hosts below one, or * for all; may be given more than once, or several behind one flag after the model. Unless given, none are.",
            valueName: "host"))
    var allowedMediaDomains: [String] = []
    @Flag(
        help: "Fetch images from hosts whose address is not of the public internet as well: of this machine, of private networks, link-local and the like. With * whoever may ask this server reaches whatever it reaches.")
    var allowPrivateMediaAddresses = false
    @Flag(
        inversion: .prefixedNo,
        help: "Follow redirects of those hosts, each checked as the first URL is; VLLM_MEDIA_URL_ALLOW_REDIRECTS=1 says the same.")
    var mediaRedirects = false
    @Option(help: "Seconds that fetching one image may take (default: \(Self.standardTimeout)); also VLLM_IMAGE_FETCH_TIMEOUT.")
    var imageFetchTimeout: Double?
    @Option(
        help: ArgumentHelp(
            "The directory in which file: images may lie, after symbolic links are followed; unless given, no files are read.", valueName: "dir"))
    var allowedLocalMediaPath: String?

    func validate() throws {
        if let seconds = imageFetchTimeout, seconds <= 0 || seconds > 3600 || seconds.isNaN {
            throw ValidationError("--image-fetch-timeout \(seconds) is not above 0 and at most 3600 seconds")
        }
        if allowedMediaDomains.isEmpty, let flag = givenOfFetching {
            throw ValidationError("\(flag) needs --allowed-media-domains, without which nothing is fetched")
        }
        for domain in allowedMediaDomains where MediaDomain(domain) == nil {
            throw ValidationError("--allowed-media-domains \(domain) is none of HOST, HOST:PORT, *.DOMAIN and *")
        }
    }

    /// A flag of fetching that changes something.
    private var givenOfFetching: String? {
        if allowPrivateMediaAddresses { return "--allow-private-media-addresses" }
        if mediaRedirects { return "--media-redirects" }
        return imageFetchTimeout == nil ? nil : "--image-fetch-timeout"
    }

    func rules() throws -> MediaRules {
        var rules = MediaRules()
        rules.domains = allowedMediaDomains.compactMap(MediaDomain.init)
        rules.allowsPrivateAddresses = allowPrivateMediaAddresses
        rules.followsRedirects = mediaRedirects
        rules.timeoutSeconds = imageFetchTimeout ?? Self.standardTimeout
        rules.localDirectory = try allowedLocalMediaPath.map { path in
            do throws(MediaError) { return try LocalMedia(path) } catch { throw LaunchError("--allowed-local-media-path \(error)") }
        }
        return rules
    }
}
