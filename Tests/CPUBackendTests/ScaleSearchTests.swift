import Compiler
import Foundation
import HuggingFace
import IR
import Reference
import Tensors
import Testing

/// The search for scales beside what AutoAWQ's formula gives in torch, on the same inputs (`Tests/Oracle/make_awq_records.py`).
@Suite struct ScaleSearchTests {
    private static let repository = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..").standardized.path
    private let record: SafetensorsFile
    private let model: Checkpoint

    init() throws {
        record = try SafetensorsFile(path: Self.repository + "/Tests/EndToEndTests/Fixtures/awq_search.safetensors")
        model = try Checkpoint(directory: Self.repository + "/Artifacts/Demo/model")
    }

    private func recorded(_ name: String) throws -> Tensor {
        let view = try #require(record[name])
        return try #require(view.withBytes { Tensor(view.type.element, view.type.shape.fixed ?? [], bytes: $0) })
    }

    /// The weights of layers of the demo model, one below the other.
    private func weight(_ names: [String]) throws -> StreamedWeight {
        let views = try names.map { try #require(model[$0], "\($0)") }
        let builder = ModuleBuilder(weights: views.map { WeightDecl($0.name, $0.type) })
        try builder.graph("w") { b in
            let parts = views.map { b.cast(b.one(Weight($0.name, $0.type)), to: .f32) }
            return [parts.count == 1 ? parts[0] : b.concat(parts, axis: 0)]
        }
        let graph = builder.finish().graphs[0]
        return try #require(StreamedWeight(graph, Dictionary(uniqueKeysWithValues: views.map { ($0.name, $0) })))
    }

    @Test(arguments: [
        ("qkv", ["q", "k", "v"].map { "model.layers.2.self_attn.\($0)_proj.weight" }), ("down", ["model.layers.3.mlp.down_proj.weight"]),
    ]) func findsWhatTheFormulaGives(_ name: String, _ layers: [String]) throws {
        let inputs = try recorded("\(name).inputs")
        let search = ScaleSearch(sample: CalibrationSample([inputs], keeping: ScaleSearch.rowsMax), group: 128)
        let weight = try weight(layers)
        let outcome = try search.search([.init(weight: weight, clipped: 0..<0)], scales: true)
        let errors = try recorded("\(name).errors").floats
        for (ours, theirs) in zip(outcome.squares, errors) {
            let mean = ours / Double(inputs.shape[0] * weight.outputs)
            #expect(abs(mean - Double(theirs)) <= 1e-3 * Double(theirs), "\(mean) instead of \(theirs)")
        }
        #expect(outcome.squares.count == errors.count)
        #expect(try outcome.alpha.map(Float.init) == recorded("\(name).alpha").floats[0])
        let factors = try #require(outcome.factors)
        let expected = try recorded("\(name).factors").floats
        #expect(factors.count == expected.count && zip(factors, expected).allSatisfy { abs($0 - $1) <= 1e-5 * abs($1) })
        #expect(outcome.errors[0] < outcome.nearestErrors[0])
    }

    /// Groups that may be cut by what that does to outputs are off by less than those that are nearest to their weight.
    @Test func cutsByOutputsAreNearer() throws {
        let sample = CalibrationSample([try recorded("down.inputs")], keeping: ScaleSearch.rowsMax)
        let weight = try weight(["model.layers.3.mlp.down_proj.weight"])
        let search = ScaleSearch(sample: sample, group: 128)
        let (whole, cut) = (
            try search.search([.init(weight: weight, clipped: 0..<0)], scales: true), try search.search([.init(weight: weight, clipped: 0..<weight.outputs)], scales: true)
        )
        #expect(cut.errors[0] < whole.errors[0] && whole.errors[0] < whole.nearestErrors[0])
        #expect(cut.alpha == whole.alpha && cut.shares != whole.shares)
        #expect(cut.shares[0].count == weight.outputs * 6)
    }

    /// Twice the same, whatever thread was first.
    @Test func searchesAgree() throws {
        let sample = CalibrationSample([try recorded("qkv.inputs")], keeping: 20)
        #expect(sample.count == 20)
        let weight = try weight(["model.layers.2.self_attn.q_proj.weight"])
        let search = ScaleSearch(sample: sample, group: 128)
        let outcomes = try (0..<3).map { _ in try search.search([.init(weight: weight, clipped: 0..<128)], scales: true) }
        #expect(outcomes[0] == outcomes[1] && outcomes[1] == outcomes[2])
    }

    /// A channel that no prompt moves has a factor all the same.
    @Test func silentChannelsHaveFactors() {
        let sample = CalibrationSample([Tensor([0, 1, -3, 0, 2, 1], [2, 3])], keeping: 8)
        #expect(sample.means == [0, 1.5, 2] && sample.count == 2)
        let factors = ScaleSearch(sample: sample, group: 1).factors(0.5)
        #expect(factors.allSatisfy { $0 > 0 && $0.isFinite })
        #expect(ScaleSearch(sample: sample, group: 1).factors(0) == [1, 1, 1])
    }
}
