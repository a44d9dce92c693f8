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

    /// - Parameter tensors: by the names that recipes use.
    init(_ tensors: [String: TensorView]) { self.tensors = tensors }

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
        guard let weight = StreamedWeight(recipe, tensors) else { throw PassError("a weight of a linear layer is no matrix") }
        let results = Mutex<(sums: [Sums], failure: EvaluationError?)>((Array(repeating: Sums(), count: weight.parts.count), nil))
        DispatchQueue.concurrentPerform(iterations: weight.parts.count) { index in
            do throws(EvaluationError) {
                let floats = try weight.values(index)
                let sums = switch form {
                case .int8: RowRounding.squares(floats, width: weight.inputs)
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
