import Foundation
import Testing

/// Checkpoints that say the same in other layouts are the same to who serves them.
@Suite struct QuantizedLayoutTests {
    private func record(_ layout: String) -> String { FamilyParityTests.folders[0].appending(path: "qwen2_vl_\(layout)").path }

    /// Layouts of the same levels, zeros and scales: the packed weights are equal byte by byte, and so is what is computed with them.
    @Test(arguments: [["awq_gemm", "awq_gemv", "gptq_v2", "ct_w4a16_asym"], ["gptq_sym", "ct_w4a16"]])
    func sameWeightsArePackedAlike(_ layouts: [String]) throws {
        let space = try Workspace()
        let weights = try layouts.map { layout in
            let artifact = try space.compile(record(layout))
            return try Data(contentsOf: URL(filePath: artifact).appending(path: "weights.bin"))
        }
        for (layout, bytes) in zip(layouts, weights) { #expect(bytes == weights[0], "\(layout) and \(layouts[0])") }
    }

    /// Weights of four bits stay at four whatever their layout, with a list of inputs where those have an order; of eight at eight.
    @Test func artifactsAreAsSmallAsTheCheckpoint() throws {
        let space = try Workspace()
        func size(_ layout: String) throws -> Int {
            let file = URL(filePath: try space.compile(record(layout))).appending(path: "weights.json")
            let entries = try #require(JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [[String: Any]])
            let layers = entries.filter { ($0["name"] as? String)?.contains(".layers.") == true }
            return layers.reduce(0) { $0 + ($1["byteCount"] as? Int ?? 0) }
        }
        let four = try size("awq_gemm")
        for layout in ["gptq_channel", "ct_w4a16_channel", "gptq_asym_act", "ct_w4a16_act"] {
            #expect(try size(layout) < four * 23 / 20, "\(layout)")
        }
        for layout in ["gptq_8bit", "ct_w8a8", "ct_fp8", "fp8_block"] { #expect(try size(layout) < four * 11 / 5, "\(layout)") }
        #expect(try size("ct_mxfp4") < four * 11 / 10)
        #expect(try size("ct_nvfp4") < four * 4 / 3)
    }

    @Test(arguments: [
        ("awq_gemv", "AWQ"), ("gptq_sym", "gptq"), ("ct_w4a16", "compressed-tensors"), ("ct_w8a8", "smoothquant"), ("fp8_block", "fp8"),
    ])
    func theMethodIsAccepted(_ layout: String, _ name: String) throws {
        #expect(try Workspace().vlmc("compile", record(layout), "--quantization", name).status == 0)
    }

    @Test(arguments: [
        ("awq_gemv", "gptq", "quantized by awq, int4 in groups of 32, layout gemv"), ("gptq_sym", "awq", "quantized by gptq, int4 in groups of 32"),
        ("ct_w4a16", "smoothquant", "quantized by compressed-tensors, int4 (w4a16) in groups of 32"), ("q_base", "awq", "not quantized"),
    ])
    func anotherMethodIsRefused(_ layout: String, _ name: String, _ fact: String) throws {
        let outcome = try Workspace().vlmc("compile", record(layout), "--quantization", name)
        #expect(outcome.status == 1 && outcome.errors.contains("--quantization \(name): the checkpoint is \(fact)"), "\(outcome.errors)")
    }
}
