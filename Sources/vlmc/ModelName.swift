import CommandLineSupport
import Foundation

/// What a person calls a model that is to be compiled.
enum ModelName {
    private static var cache: HuggingFaceCache { HuggingFaceCache(environment: ProcessInfo.processInfo.environment) }

    /// The model's directory: a path, or `OWNER/NAME` in HuggingFace's cache. What is neither stays as it is, for its reader to say.
    static func directory(_ name: String) throws(Failure) -> String {
        guard !name.isEmpty else { throw Failure("the model's name is empty") }
        if let directory = cache.directory(name) { return directory }
        guard HuggingFaceCache.isMeant(by: name) else { return name }
        throw Failure(cache.missing(name))
    }

    /// The folder in HuggingFace's cache; nil where `name` is no repository that was downloaded.
    static func downloaded(_ name: String) -> String? { cache.folder(of: name) }
}
