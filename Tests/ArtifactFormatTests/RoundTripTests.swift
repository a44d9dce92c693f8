import ArtifactFormat
import ArtifactSamples
import Foundation
import Plan
import Testing
import ThreadTime

@Suite struct RoundTripTests {
    @Test func everythingComesBack() throws {
        let sample = try Sample()
        let path = try sample.write()
        #expect(path == sample.store.path(of: Sample.key()))
        let artifact = try Artifact.open(directory: path)
        #expect(artifact.program == Sample.program())
        #expect(artifact.manifest.key == Sample.key())
        #expect(artifact.weights.map(\.name) == ["layers.0.norm", "layers.0.qkv"])
        #expect(Array(artifact.weightBytes(0)) == Sample.normBytes)
        #expect(Array(artifact.weightBytes(1)) == Sample.linearBytes)
        #expect(artifact.weights.allSatisfy { $0.offset % WeightEntry.alignment == 0 })
        #expect(try artifact.section(.tokenizer) == [1, 2, 3])
        #expect(try artifact.ir(stage: "fused", entry: "extend").hasPrefix("// vir 1\n"))
        #expect(try Artifact.verify(directory: path).isEmpty)
        #expect(try sample.store.lookup(Sample.key()) == path)
    }

    @Test func formatVersionStandsFirst() throws {
        let sample = try Sample()
        let text = try String(contentsOfFile: sample.write() + "/manifest.json", encoding: .utf8)
        #expect(text.hasPrefix("{\n  \"formatVersion\" : \(Manifest.formatVersion),\n"))
    }

    @Test func equalInputsMakeEqualBytes() throws {
        let (first, second) = (try Sample(), try Sample())
        let (a, b) = (try first.write(), try second.write())
        for name in try FileManager.default.subpathsOfDirectory(atPath: a) {
            #expect(FileManager.default.contents(atPath: "\(a)/\(name)") == FileManager.default.contents(atPath: "\(b)/\(name)"))
        }
    }

    @Test func largeWeightsComeBack() throws {
        let sample = try Sample()
        let writer = try ArtifactWriter(store: sample.store, key: Sample.key())
        try Sample.fill(writer, with: 0x3f)
        let large = (0..<3 << 20).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        try writer.beginWeight(name: "large", layout: .plain, shape: [3 << 18], key: "large", sources: [])
        for part in [large[..<(2 << 20)], large[(2 << 20)...]] {
            try part.withUnsafeBytes { bytes in try writer.append(bytes) }
        }
        let path = try Sample.finish(writer, gears: [1, 4])
        #expect(try Artifact.verify(directory: path).isEmpty)
        let artifact = try Artifact.open(directory: path)
        #expect(withExtendedLifetime(artifact) { artifact.weightBytes(2).elementsEqual(large) })
    }

    @Test func realSizedProgramOpensAtOnce() throws {
        let sample = try Sample()
        let gears = [1, 2, 4, 8, 16]
        let tokenizer = [UInt8](repeating: 7, count: 8 << 20)
        var key = Sample.key(gears: gears)
        key.configs = .init(config: "c0", tokenizer: Digest.of(tokenizer))
        let writer = try ArtifactWriter(store: sample.store, key: key)
        try Sample.fill(writer, with: 1)
        for index in 0..<300 {
            try Sample.normBytes.withUnsafeBytes { bytes in
                _ = try writer.appendWeight(
                    name: "layers.\(index).norm", layout: .plain, shape: [8],
                    key: String(repeating: "0123456789abcdef", count: 4), sources: ["model.layers.\(index).norm.weight"],
                    bytes: bytes)
            }
        }
        try writer.write(.tokenizer, tokenizer)
        let path = try writer.finish(
            program: Sample.program(gears: gears, repeats: 100), provenance: .init(model: "m", architecture: "a"),
            tuning: .init(processor: "p", features: [], rates: [:]))
        let opening = try (0..<5).map { _ in try threadTime { _ = try Artifact.open(directory: path) } }
        #expect(try #require(opening.min()) < .milliseconds(100))
    }
}
