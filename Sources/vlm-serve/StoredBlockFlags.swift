import ArgumentParser
import CommandLineSupport
import Serving

/// Whether cached blocks are kept on disk, and how many.
struct StoredBlockFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Keep the KV cache of prompts that begin alike in a directory too, made if need be, from which the next start goes on; one server at a time has it. What is there is read for the same artifact, program, adapter and cache_salt alone.",
            valueName: "dir"))
    var kvCacheDir: String?
    @Option(help: "Most bytes of blocks in --kv-cache-dir, 8Gi unless given; the least recently used go first.")
    var kvCacheDirSize: Size?

    func validate() throws {
        guard kvCacheDir != "" else { throw ValidationError("--kv-cache-dir has no name") }
        guard kvCacheDir != nil || kvCacheDirSize == nil else { throw ValidationError("--kv-cache-dir-size needs --kv-cache-dir") }
    }

    /// Throws where the directory cannot be used.
    func checkDirectory() throws(BlockFolderError) {
        if let kvCacheDir { try BlockFolder.check(kvCacheDir) }
    }

    /// Nil where nothing is kept.
    var store: BlockStore? {
        kvCacheDir.map { BlockStore(directory: $0, bytesMax: kvCacheDirSize?.value ?? BlockFolder.bytesMaxDefault) }
    }
}
