package import IR
import Plan
import Tensors

/// Gives every value that a running node makes its place in the graph's arena.
///
/// Values that live at the same time do not overlap; views lie inside what they view; results stay outside, since the
/// engine brings their memory.
///
///     %1 = square %0  via square                  →      %1 = square %0  via square at 0+4096
package let planMemory = Pass("plan-memory", .planned) { module, report throws(PassError) in
    let bounds = module.bounds
    for index in module.graphs.indices {
        let graph = module.graphs[index]
        let storage = Storage(graph)
        for node in graph.nodes where storage.isView(node) != (node.kernel == .view) {
            throw PassError("\(node.op.mnemonic) in @\(graph.name) names \(node.kernel?.text ?? "no kernel") and is \(storage.isView(node) ? "a" : "no") view")
        }
        for (position, value) in graph.results.enumerated() where !storage.isWhole(result: position) {
            throw PassError("result \(position) of @\(graph.name), \(graph.type(of: value)), is not stored by steps")
        }
        let editor = Editor(graph, report: report)
        let lives = LifeTimes(graph, storage).lives
        var values: [MemoryPlan.Value] = []
        for life in lives {
            guard let bytes = graph.type(of: life.root).byteCount(bounds) else {
                throw PassError("a value of \(graph.type(of: life.root)) in @\(graph.name) has no size")
            }
            values.append(MemoryPlan.Value(byteCount: bytes, first: life.first, last: life.last))
        }
        let plan = MemoryPlan(values)
        var places: [ValueID: Place] = [:]
        for (life, (value, offset)) in zip(lives, zip(values, plan.offsets)) {
            places[life.root] = Place(offset: offset, byteCount: value.byteCount)
        }
        let constness = Constness(graph)
        for node in graph.nodes where constness.runs(node) {
            for result in node.results {
                guard let view = storage.view(result), let root = places[view.root] else { continue }
                let start = view.column * graph.type(of: result).element.byteCount
                editor.setPlace(Place(offset: root.offset + start, byteCount: root.byteCount - start), of: result)
            }
            report.matches["place", default: 0] += node.results.count
        }
        module.graphs[index] = try editor.finish()
    }
}
