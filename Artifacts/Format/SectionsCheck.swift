import Plan
import Tensors

/// Whether the sections of an artifact fit each other, each of them being sound by itself.
///
/// Afterwards what `inputs.json` makes of any request fits the program: token ids its vocabulary, positions its axes, patches the
/// pixels that its vision plan reads, and a picture's tokens the rows of its embeddings. What only the tokenizer and the template
/// show is for those who read them.
struct SectionsCheck {
    let program: Program
    let inputs: InputSpec

    /// The first field of `inputs.json` that cannot be, or that the program contradicts, in words; nil when there is none.
    var contradiction: String? {
        if let reason = inputs.contradiction { return reason }
        do {
            try checkTokens()
            try checkPictures()
            return nil
        } catch {
            return error.reason
        }
    }

    private func require(_ holds: Bool, _ reason: @autoclosure () -> String) throws(Contradiction) {
        if !holds { throw Contradiction(reason: reason()) }
    }

    private func checkTokens() throws(Contradiction) {
        try require(
            inputs.vocabularySize == program.vocabularySize,
            "vocabularySize is \(inputs.vocabularySize), but the program's is \(program.vocabularySize)")
        try require(
            inputs.positions.axes == program.positionAxes,
            "positions have \(inputs.positions.axes) axes, but the program's have \(program.positionAxes)")
    }

    private func checkPictures() throws(Contradiction) {
        guard let picture = inputs.picture else {
            return try require(program.plans.allSatisfy { $0.entry != .vision }, "picture is missing, but the program takes pictures")
        }
        guard let shape = pixels?.shape, shape.rank == 2, let width = shape[1].fixedValue else {
            throw Contradiction(reason: "picture is there, but the program takes no pictures")
        }
        try require(
            picture.pixels.patchBytes == width,
            "picture.pixels.patchSize is \(picture.pixels.patchSize), but a patch of the program has \(width) bytes")
        let side = picture.pixels.order.cellSide
        try require(
            side * side == shape[0].factor, "picture.pixels.order has cells of \(side), but the program merges \(shape[0].factor) patches into a token")
        if case .mrope(let merge) = inputs.positions {
            try require(merge == side, "positions.mergeSize is \(merge), but picture.pixels.order has cells of \(side)")
        }
    }

    /// The type of the pixels that the vision plan reads.
    private var pixels: TensorType? {
        let plan = program.plans.first { $0.entry == .vision }
        return plan?.steps.lazy.flatMap(\.inputs).first { $0.place == .input(.pixels) }?.type
    }
}
