import Plan
import Tensors

/// Whether the sections of an artifact fit each other, each of them being sound by itself.
///
/// Afterwards what `inputs.json` makes of any request fits the program: token ids its vocabulary, positions its axes, patches the
/// pixels that its vision plan reads, and an image's tokens the rows of its embeddings. What only the tokenizer and the template
/// show is for those who read them.
struct SectionsCheck {
    let program: Program
    let inputs: InputSpec

    /// The first field of `inputs.json` that cannot be, or that the program contradicts, in words; nil when there is none.
    var contradiction: String? {
        if let reason = inputs.contradiction { return reason }
        do {
            try checkTokens()
            try checkImages()
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

    private func checkImages() throws(Contradiction) {
        guard let image = inputs.image else {
            return try require(program.plans.allSatisfy { $0.entry != .vision }, "image is missing, but the program takes images")
        }
        guard let plan = program.plans.first(where: { $0.entry == .vision }) else {
            throw Contradiction(reason: "image is there, but the program takes no images")
        }
        for tensor in plan.tensors {
            guard let made = image.tensors.first(where: { $0.name == tensor.name }) else {
                throw Contradiction(reason: "image.tensors has no \(tensor.name), which the program reads")
            }
            let form = made.content.form(patchBytes: image.pixels.patchBytes)
            let dims = tensor.type.shape.dims
            let fixed = dims.filter { $0.symbol == nil }.map(\.factor)
            try require(
                tensor.type.element == form.element && fixed == form.extents && dims.count(where: { $0.symbol != nil }) == 1,
                "image.tensors makes \(tensor.name) of \(form.element) \(form.extents), but the program reads \(tensor.type)")
        }
        for step in plan.steps {
            guard case .segmentAttention(let attention) = step.kernel, case .segments(let queries, let keys) = attention.mask else { continue }
            for name in [queries, keys] {
                try require(image.segments.contains { $0.name == name }, "image.segments has no \(name), which the program reads")
            }
        }
        if case .mrope(let merge) = inputs.positions {
            let side = image.pixels.order.cellSide
            try require(merge == side, "positions.mergeSize is \(merge), but image.pixels.order has cells of \(side)")
        }
    }
}

extension VisionTensor.Content {
    /// The element, and the extents beside that of the rows.
    fileprivate func form(patchBytes: Int) -> (element: DType, extents: [Int]) {
        switch self {
        case .pixels: (.u8, [patchBytes])
        case .values: (.f32, [patchBytes])
        case .patchPositions: (.i32, [2])
        case .tableRows, .classRows, .keptRows, .featureRows, .learnedRows, .queryRows: (.i32, [])
        case .blendRows(let rule): (.i32, [rule.count])
        case .blendWeights(let rule): (.f32, [rule.count])
        case .featureBlendRows: (.i32, [4])
        case .featureBlendWeights: (.f32, [4])
        }
    }
}
