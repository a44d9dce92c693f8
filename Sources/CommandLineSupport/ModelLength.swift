internal import ArgumentParser

/// The value of `--max-model-len`: tokens, or `auto` or `-1` for as many as the model takes and memory holds.
package struct ModelLength: ExpressibleByArgument, Sendable, Equatable {
    /// Nil for as many as there can be.
    package let tokens: Int?

    package init?(argument: String) {
        if ["auto", "-1"].contains(argument) {
            tokens = nil
            return
        }
        guard let size = Size(argument: argument) else { return nil }
        tokens = size.value
    }
}
