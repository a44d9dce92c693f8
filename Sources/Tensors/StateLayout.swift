/// What a layer keeps of each sequence beside the KV cache: a fixed number of f32 values, which begin as zeros.
///
/// A sequence has one slot for all its states, from when it runs until it ends or gives its place back.
package struct StateLayout: Sendable, Hashable, Codable {
    package var role: StateRole
    /// Values of one sequence.
    package var width: Int

    package init(_ role: StateRole, width: Int) {
        self.role = role
        self.width = width
    }

    /// Bytes of one sequence.
    package var byteCount: Int { 4 * width }
}
