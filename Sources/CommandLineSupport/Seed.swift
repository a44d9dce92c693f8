internal import ArgumentParser

/// The value of `--seed`: a number, or -1 as if it were left out.
package struct Seed: ExpressibleByArgument, Sendable {
    package let value: UInt64?

    package init?(argument: String) {
        guard argument != "-1" else {
            value = nil
            return
        }
        guard let number = UInt64(argument) else { return nil }
        value = number
    }
}
