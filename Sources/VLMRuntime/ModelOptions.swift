internal import CPUBackend
public import Foundation
internal import Inputs
internal import Serving

/// What a loaded model may use of the machine. What is nil follows from the artifact and from what is free.
public struct ModelOptions: Sendable, Hashable {
    /// Threads that compute; nil for one per core that this process may use.
    public var threads: Int?
    /// Requests that are computed at once, at most what the artifact was compiled for; others wait.
    public var maxSequences: Int?
    /// Tokens of prompt and answer together, at most what the artifact was compiled for.
    public var contextLength: Int?
    /// Memory of the KV cache; nil for what is useful, at most half of what is free.
    public var kvCacheBytes: Int?
    /// Whether prompts that begin alike are computed once; nil for yes where the model can.
    public var cachesPrefixes: Bool?
    /// Embeddings of images that are kept for later questions.
    public var imageCacheBytes = 512 << 20
    /// Requests that may wait.
    public var maxQueued = 1024
    /// Images, and frames, of more pixels are refused.
    public var maxImagePixels = ImageDecoder.defaultMaxPixels
    /// The program `vlm-video-frames`, which decodes video files; nil for the one that lies beside this program.
    public var videoProgram: URL?

    public init() {}

    func engineOptions() throws(ModelError) -> EngineOptions {
        if let threads, !CPUBackend.threadRange.contains(threads) {
            throw .options("threads must be at least \(CPUBackend.threadRange.lowerBound) and at most \(CPUBackend.threadRange.upperBound), not \(threads)")
        }
        guard maxImagePixels > 0 else { throw .options("maxImagePixels must be at least 1, not \(maxImagePixels)") }
        var options = EngineOptions()
        options.maxSequences = maxSequences
        options.maxModelLength = contextLength
        options.kvCacheBytes = kvCacheBytes
        options.cachesPrefixes = cachesPrefixes
        options.imageCacheBytes = imageCacheBytes
        options.maxQueued = maxQueued
        return options
    }
}
