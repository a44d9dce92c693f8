import IR
import Plan
import Tensors

/// A weight to be packed: what it is made of and how it shall lie in memory.
struct WeightRequest: Hashable {
    let recipe: Recipe
    let layout: WeightLayout
    /// As in `WeightEntry`.
    let shape: [Int]
    /// The HuggingFace module that uses it first.
    let origin: String
}

/// The weights of all plans, each once, in order of first use.
struct WeightTable {
    private(set) var requests: [WeightRequest] = []
    private var indices: [Key: Int] = [:]

    private struct Key: Hashable {
        let recipe: Recipe
        let layout: WeightLayout
    }

    /// The weight's index, the same for every request of equal recipe and layout.
    mutating func index(of request: WeightRequest) -> Int {
        let key = Key(recipe: request.recipe, layout: request.layout)
        if let known = indices[key] { return known }
        indices[key] = requests.count
        requests.append(request)
        return requests.count - 1
    }
}
