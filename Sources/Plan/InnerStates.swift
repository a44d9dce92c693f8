import Tensors

/// Which hidden states a model gives beside its logits, of every token, for a head that guesses tokens from them.
package enum InnerStates: Sendable, Hashable, Codable, CustomStringConvertible {
    /// Those before each of these layers, side by side in this order; before as many as there are is behind the last one.
    case beforeLayers([Int])
    /// Those behind the last norm.
    case normed

    package var description: String {
        switch self {
        case .beforeLayers(let layers): "before \(layers.map(String.init).joined(separator: ","))"
        case .normed: "behind the last norm"
        }
    }
}

extension ExecutionPlan {
    /// The name of the output that holds inner states.
    package static let innerStatesName = InputRole.innerStates.rawValue

    /// f32[rows, W], the inner states of every token; nil where there are none.
    package var innerStates: Output? { outputs.first { $0.name == Self.innerStatesName } }

    /// Elements of a row of the inner states that the plan reads; 0 where it reads none.
    package var innerWidthRead: Int {
        steps.reduce(0) { most, step in
            step.inputs.reduce(most) { $1.place == .input(.innerStates) ? max($0, $1.type.shape.dims.last?.fixedValue ?? 0) : $0 }
        }
    }
}

extension Program {
    /// Elements of a row of the inner states that the program leaves; 0 where it leaves none.
    package var innerWidth: Int { plans.first { $0.entry == .extend }?.innerStates?.type.shape.dims.last?.fixedValue ?? 0 }

    /// Most elements of a row of inner states of a batch: those of the program, and of a head what it leaves for itself.
    package var innerRowWidth: Int {
        let read = innerWidthRead
        return max(innerWidth, read, read > 0 ? hiddenSize : 0)
    }

    /// Elements of a row of the inner states that `extend` reads, as a head does; 0 for a model of its own.
    package var innerWidthRead: Int { plans.first { $0.entry == .extend }?.innerWidthRead ?? 0 }
}
