import Foundation
import Testing

/// Models whose bf16 layers and attention inside images compute in 16-bit codes, by the rates of a machine that is described.
@Suite struct FixedPointTests {
    private static let reference = Workspace.fixtures.appending(path: "qwen2_vl_hubstyle").path

    private func compile(_ rates: String, in space: Workspace, _ flags: String...) throws -> String {
        let machine = space.path("machine.json")
        try Data(#"{"processor": "a processor", "features": [], "rates": {"read GB/s": 10, "f32 GFLOP/s": 100\#(rates)}}"#.utf8).write(to: URL(filePath: machine))
        let outcome = try Command("vlmc", ["compile", Self.reference, "--machine", machine] + flags, environment: ["VLM_STORE": space.store]).run()
        #expect(outcome.status == 0, "\(outcome.errors)")
        return outcome.output.trimmingCharacters(in: .newlines)
    }

    /// Kernels of linear layers over bf16 panels, for each entry.
    private func arithmetic(_ artifact: String, in space: Workspace) throws -> Set<String> {
        let lines = try space.cache("show", artifact).output.split(separator: "\n")
        return Set(lines.filter { $0.contains("bf16 panels") && $0.contains("linear_") }.compactMap { line in
            line.split(separator: " ").first { $0.hasPrefix("linear_") || $0.hasPrefix("screened_") }.map(String.init)
        })
    }

    @Test(arguments: [
        (rates: #", "bf16 GFLOP/s": 50, "int16 GOP/s": 200"#, target: "cpu-avx512-vnni", kernel: "linear_bf16_int16"),
        (#", "bf16 GFLOP/s": 150, "int16 GOP/s": 200"#, "cpu-avx512-bf16", "linear_bf16_int16"),
        (#", "bf16 GFLOP/s": 180, "int16 GOP/s": 200"#, "cpu-avx512-bf16", "linear_bf16_bf16"),
        (#", "bf16 GFLOP/s": 50, "int16 GOP/s": 125"#, "cpu-avx512-bf16", "linear_bf16_f32"),
        (#", "int16 GOP/s": 200, "vpmaddwd GOP/s": 150"#, "cpu-avx2", "linear_bf16_int16"),
        (#", "int16 GOP/s": 200, "vpmaddwd GOP/s": 110"#, "cpu-avx2", "linear_bf16_f32"),
        (#", "int16 GOP/s": 200, "vpmaddwd GOP/s": 150"#, "cpu", "linear_bf16_f32"),
        (#", "int16 GOP/s": 200, "vpmaddwd GOP/s": 150"#, "cpu-neon", "linear_bf16_f32"),
        (#", "bf16 GFLOP/s": 50, "AMX bf16 GFLOP/s": 900, "int16 GOP/s": 200"#, "cpu-amx", "linear_bf16_bf16"),
        (#", "bf16 GFLOP/s": 50, "AMX bf16 GFLOP/s": 900, "int16 GOP/s": 200"#, "cpu-avx512-bf16", "linear_bf16_int16"),
        // A machine file that knows nothing of them.
        (#", "bf16 GFLOP/s": 150"#, "cpu-avx512-bf16", "linear_bf16_bf16"),
    ])
    func ratesChoose(rates: String, target: String, kernel: String) throws {
        let space = try Workspace()
        let artifact = try compile(rates, in: space, "--target", target)
        #expect(try arithmetic(artifact, in: space) == [kernel])
        let plan = try space.cache("plan", artifact, "--entry", "vision").output, products = String(kernel.split(separator: "_")[2])
        #expect(plan.contains("pack_activations_int16_blocks") == kernel.hasSuffix("int16"))
        #expect(plan.contains("segment_attention_\(products)"))
        let cached = products == "bf16" ? "bf16" : "f32"
        #expect(try space.cache("plan", artifact, "--entry", "extend").output.contains("paged_attention_\(cached)"))
    }

    @Test func exactPrecisionHasNoCodes() throws {
        let space = try Workspace()
        let artifact = try compile(#", "int16 GOP/s": 1000, "vpmaddwd GOP/s": 1000"#, in: space, "--precision", "exact", "--target", "cpu-avx2")
        #expect(try arithmetic(artifact, in: space) == ["linear_bf16_f32"])
        #expect(try space.cache("plan", artifact, "--entry", "vision").output.contains("segment_attention_f32"))
    }

    /// By every version that this machine has.
    @Test(arguments: ["cpu-avx2", "cpu-avx-vnni", "cpu-avx512", "cpu-avx512-vnni", "cpu-amx"])
    func imagesAndLogitsHaveTheirDirection(target: String) throws {
        let space = try Workspace()
        let artifact = try compile(#", "int16 GOP/s": 200, "vpmaddwd GOP/s": 200"#, in: space, "--target", target)
        let outcome = try space.vlmc("parity", artifact, "--reference", Self.reference)
        if outcome.errors.contains("but this machine lacks") { return }
        let cosines = outcome.output.split(separator: "\n").filter { $0.contains("logits") || $0.contains("features") }.compactMap { line in
            line.split(separator: " ").compactMap { Double($0) }.dropFirst().first
        }
        #expect(cosines.count == 3 && cosines.allSatisfy { $0 > 0.9998 }, "\(outcome.output)\(outcome.errors)")
        #expect(outcome.output.contains("greedy tokens") && outcome.output.contains("ok, 16 equal"), "\(outcome.output)")
    }
}
