import Dispatch
import HuggingFace
import IR
import Passes
import Plan
import Reference
import Synchronization
import Tensors

/// How far weights are from what they are rounded to, each measured once: entries share their weights.
final class RoundingErrors: Sendable {
    private let tensors: [String: TensorView]
    private let known = Mutex<[String: Double]>([:])

    /// - Parameter weights: the names that recipes use, with those of the checkpoint.
    init(_ checkpoint: Checkpoint, _ weights: [WeightDecl]) {
        var tensors: [String: TensorView] = [:]
        for weight in weights { tensors[weight.name] = checkpoint[weight.source] }
        self.tensors = tensors
    }

    /// ‖ŵ − w‖ / ‖w‖ of the one matrix that `recipe` makes, whose rows are computed some at a time; 0 for a weight of zeros.
    func share(_ recipe: Graph, _ form: LayerRounding.Form) throws(PassError) -> Double {
        let text = "\(form) \(Printer.print(recipe))"
        if let share = known.withLock({ $0[text] }) { return share }
        let sums = try sums(recipe, form)
        let share = sums.weight == 0 ? 0 : (sums.error / sums.weight).squareRoot()
        known.withLock { $0[text] = share }
        return share
    }

    private struct Sums: Sendable {
        var error = 0.0, weight = 0.0
    }

    private func sums(_ recipe: Graph, _ form: LayerRounding.Form) throws(PassError) -> Sums {
        guard let shape = recipe.results.first.flatMap({ recipe.type(of: $0).shape.fixed }), shape.count == 2 else {
            throw PassError("a weight of a linear layer is no matrix")
        }
        let stream = RecipeStream(graph: recipe, tensors: tensors)
        let atOnce = RecipeStream.rowsAtOnce(inputs: shape[1], panel: 32)
        var boxes = stride(from: 0, to: shape[0], by: atOnce).map { [[$0..<min($0 + atOnce, shape[0]), 0..<shape[1]]] }
        if !stream.hasBoxes(boxes) { boxes = [[[0..<shape[0], 0..<shape[1]]]] }
        let parts = boxes
        let results = Mutex<(sums: [Sums], failure: EvaluationError?)>((Array(repeating: Sums(), count: parts.count), nil))
        DispatchQueue.concurrentPerform(iterations: parts.count) { index in
            do throws(EvaluationError) {
                let values = parts.count == 1 ? try stream.values() : try stream.values(parts[index])
                let floats = values[0].cast(to: .f32).floats
                let sums = switch form {
                case .int8: RowRounding.squares(floats, width: shape[1])
                case .int4(let group): GroupRounding.squares(floats, group: group)
                }
                results.withLock { $0.sums[index] = Sums(error: sums.error, weight: sums.weight) }
            } catch {
                results.withLock { $0.failure = $0.failure ?? error }
            }
        }
        return try results.withLock { results throws(PassError) in
            if let failure = results.failure { throw PassError("\(failure)") }
            // In the order of the rows, so that the sum does not depend on which was first.
            return results.sums.reduce(into: Sums()) { sum, part in
                sum.error += part.error
                sum.weight += part.weight
            }
        }
    }
}
