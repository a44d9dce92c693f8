import Seeded

/// Inputs of one kind from outside, and what must hold for each of them, however damaged.
package struct FuzzTarget: Sendable {
    package let name: String
    /// Processor seconds that one input may take.
    package let secondsMax: Double
    private let make: @Sendable (_ dice: inout Dice, _ corpus: [[UInt8]]) -> [UInt8]
    private let check: @Sendable (_ input: [UInt8]) throws -> Void

    /// - Parameters:
    ///   - make: a new input; the same dice and corpus give the same one.
    ///   - check: throws a `Finding` for what must not be. Refusals of the code under test are none.
    init(
        _ name: String, secondsMax: Double = 5, make: @escaping @Sendable (inout Dice, [[UInt8]]) -> [UInt8],
        check: @escaping @Sendable ([UInt8]) throws -> Void
    ) {
        self.name = name
        self.secondsMax = secondsMax
        self.make = make
        self.check = check
    }

    /// The input of a seed.
    package func input(seed: UInt64, corpus: [[UInt8]]) -> [UInt8] {
        var dice = Dice(seed)
        return make(&dice, corpus)
    }

    /// Tries one input; throws a `Finding` for what must not be.
    package func run(_ input: [UInt8]) throws {
        let began = ProcessorTime.now
        try check(input)
        let seconds = ProcessorTime.now - began
        guard seconds <= secondsMax else { throw Finding("takes \(seconds) s of processor time, more than \(secondsMax)") }
    }

    /// Every target; `make fuzz` and the tests go by this list.
    package static let all: [FuzzTarget] = [
        json, safetensors, adapter, tokenizer, pieces, template, guide, chat, embeddings, completion, responses, messages, connection, artifact, block, video,
    ]
}

/// What must not be, in words.
package struct Finding: Error, CustomStringConvertible {
    package var description: String

    init(_ description: String) { self.description = description }
}
