import Foundation
import Testing

/// `vlmc compile --quantize`.
@Suite struct QuantizeTests {
    private let reference = Workspace.fixtures.appending(path: "qwen2_vl_wide_head").path

    @Test func layersOfTheDecoderAreInt8() throws {
        let space = try Workspace()
        let plain = try space.compile(Workspace.demoModel)
        let outcome = try space.vlmc("compile", Workspace.demoModel, "--quantize", "int8")
        #expect(outcome.errors.contains("quantize: none → int8"), "\(outcome.errors)")
        let path = outcome.output.trimmingCharacters(in: .newlines)
        #expect(path != plain)
        #expect(try space.compile(Workspace.demoModel, "--quantize", "int8") == path)
        let show = try space.cache("show", path).output
        #expect(show.contains("linear_int8_") && show.contains("int8 group 256"), "\(show)")
        let passes = try space.cache("passes", path, "--pass", "quantize-layers").output
        // Six layers of four in extend and decode, and the head of each.
        #expect(passes.contains("rewrote 48 × int8") && passes.contains("missed 2 × int8: it makes the logits"), "\(passes)")
        #expect(passes.components(separatedBy: "of its weight").count == 49, "\(passes)")
        func size(_ path: String) throws -> Int {
            try #require(try FileManager.default.attributesOfItem(atPath: path + "/weights.bin")[.size] as? Int)
        }
        #expect(try size(path) < size(plain) * 3 / 4)
    }

    @Test func logitsHaveTheirDirection() throws {
        let space = try Workspace()
        let outcome = try space.vlmc("parity", try space.compile(reference, "--quantize", "int8"), "--reference", reference)
        let cosines = outcome.output.split(separator: "\n").filter { $0.contains("logits") }.compactMap { line in
            line.split(separator: " ").compactMap { Double($0) }.dropFirst().first
        }
        #expect(cosines.count == 2 && cosines.allSatisfy { $0 > 0.995 && $0 < 0.99999 }, "\(outcome.output)")
    }

    @Test func layersOfTheDecoderAreInt4() throws {
        let space = try Workspace()
        let path = try space.compile(Workspace.demoModel, "--quantize", "int4")
        let show = try space.cache("show", path).output
        #expect(show.contains("linear_int4_") && show.contains("int4 group 128"), "\(show)")
        let passes = try space.cache("passes", path, "--pass", "quantize-layers").output
        #expect(passes.contains("rewrote 48 × int4") && passes.contains("missed 2 × int4: it makes the logits"), "\(passes)")
        let outcome = try space.vlmc("parity", try space.compile(reference, "--quantize", "int4-all"), "--reference", reference)
        let cosines = outcome.output.split(separator: "\n").filter { $0.contains("logits") }.compactMap { line in
            line.split(separator: " ").compactMap { Double($0) }.dropFirst().first
        }
        #expect(cosines.count == 2 && cosines.allSatisfy { $0 > 0.85 && $0 < 0.999 }, "\(outcome.output)")
    }

    /// Rows with one number far beyond the others lose them at int8, and stay as they are.
    @Test func aLayerThatLosesTooMuchStays() throws {
        let space = try Workspace()
        let model = try space.copyOfDemo(), file = URL(filePath: model + "/model.safetensors")
        var bytes = try Data(contentsOf: file)
        let length = Int(bytes.prefix(8).enumerated().reduce(UInt64(0)) { $0 | UInt64($1.element) << (8 * UInt64($1.offset)) })
        let header = try #require(try JSONSerialization.jsonObject(with: bytes[8..<8 + length]) as? [String: Any])
        let name = try #require(header.keys.first { $0.hasSuffix("layers.2.mlp.down_proj.weight") })
        let tensor = try #require(header[name] as? [String: Any])
        let (shape, offsets) = (try #require(tensor["shape"] as? [Int]), try #require(tensor["data_offsets"] as? [Int]))
        for row in 0..<shape[0] {
            let start = 8 + length + offsets[0] + row * shape[1] * 2
            // 0.25 as bf16; one number of a row, then 3.
            for column in 0..<shape[1] { bytes.replaceSubrange(start + 2 * column..<start + 2 * column + 2, with: column % 2 == 0 ? [0x80, 0x3c] : [0x00, 0x3d]) }
            bytes.replaceSubrange(start..<start + 2, with: [0x40, 0x40])
        }
        try bytes.write(to: file)
        let passes = try space.cache("passes", try space.compile(model, "--quantize", "int8"), "--pass", "quantize-layers").output
        #expect(passes.contains("rewrote 46 × int8") && passes.contains("above 3.00 %") && passes.contains("layers.2.mlp.down_proj"), "\(passes)")
    }

    /// The tower's features keep their direction, and only its layers change.
    @Test func layersOfTheTowerAreInt8() throws {
        let space = try Workspace(), record = Workspace.fixtures.appending(path: "demo_reference/one_picture").path
        let path = try space.compile(Workspace.demoModel, "--quantize", "int8-vision")
        let passes = try space.cache("passes", path, "--pass", "quantize-layers").output
        #expect(passes.contains("× int8") && !passes.contains("it makes the logits") && !passes.contains("@decode"), "\(passes)")
        func cosine(_ artifact: String) throws -> Double {
            let output = try space.vlmc("parity", artifact, "--reference", record).output
            let line = try #require(output.split(separator: "\n").first { $0.contains("features") || $0.contains("embeddings") }, "\(output)")
            return try #require(line.split(separator: " ").compactMap { Double($0) }.dropFirst().first)
        }
        let (plain, rounded) = (try cosine(space.compile(Workspace.demoModel)), try cosine(path))
        #expect(plain > 0.9999 && rounded > 0.9995 && rounded < plain, "\(plain) and \(rounded)")
    }

    @Test func aTowerBesideAQuantizedDecoder() throws {
        let space = try Workspace()
        let path = try space.compile(Workspace.fixtures.appending(path: "qwen2_vl_awq").path, "--quantize", "int8-vision")
        #expect(try space.cache("show", path).output.contains("linear_int8_"))
    }

    @Test func doctorSaysIt() throws {
        let outcome = try Workspace().vlmc("doctor", Workspace.demoModel, "--quantize", "int8")
        #expect(outcome.status == 0 && outcome.output.contains("quantize      int8, the decoder's linear layers but the last"), "\(outcome.output)")
        #expect(outcome.output.contains("not known: how far int8 takes each layer's weight"), "\(outcome.output)")
    }

    @Test func quantizedCheckpointsAreRefused() throws {
        let awq = Workspace.fixtures.appending(path: "qwen2_vl_awq").path
        let outcome = try Workspace().vlmc("compile", awq, "--quantize", "int8")
        #expect(outcome.status == 1 && outcome.errors.contains("--quantize int8: the checkpoint is quantized already, by awq"), "\(outcome.errors)")
    }
}
