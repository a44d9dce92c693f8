package import IR
import Tensors

/// Makes one decode graph per gear, a fixed number of sequences each.
///
///     graph @decode(%ids: i32[B], …)              →      graph @decode.1(%ids: i32[1], …)
///                                                        graph @decode.4(%ids: i32[4], …)
///
/// - Parameter gears: ascending and distinct.
package func bucketDecodeGears(_ gears: [Int]) -> Pass {
    Pass("bucket-decode-gears", .specialized) { module, report throws(PassError) in
        guard let index = module.graphs.firstIndex(where: { $0.name == "decode" }) else { return }
        let decode = module.graphs.remove(at: index)
        var made: [Graph] = []
        for gear in gears {
            do throws(TypeError) {
                made.append(try decode.substituting(["B": .fixed(gear)], name: "decode.\(gear)"))
            } catch { throw PassError("gear \(gear): \(error)") }
            report.matches["gear", default: 0] += 1
            report.rewrites.append(Rewrite(rule: "gear", at: "@decode.\(gear)"))
        }
        module.graphs.insert(contentsOf: made, at: index)
    }
}
