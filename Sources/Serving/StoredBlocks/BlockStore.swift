package import Plan

/// Where an engine keeps cached blocks beyond its own life.
package struct BlockStore: Sendable, Equatable {
    package var directory: String
    /// Most bytes of all blocks there.
    package var bytesMax: Int

    package init(directory: String, bytesMax: Int = BlockFolder.bytesMaxDefault) { (self.directory, self.bytesMax) = (directory, bytesMax) }

    /// Throws for a program whose blocks nobody can go on with.
    package func check(_ program: Program) throws(ConfigurationError) {
        guard !program.keepsStates else {
            throw .invalid("--kv-cache-dir: the model keeps a state of each sequence, which cached blocks do not hold; leave it out")
        }
    }
}
