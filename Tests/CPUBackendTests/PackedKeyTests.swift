import Compiler
import Plan
import Testing

/// Packed bytes are taken over by their keys alone, so that whatever changes the bytes changes the key.
@Suite struct PackedKeyTests {
    @Test func everythingThatChangesTheBytesChangesTheKey() {
        let key = PackedKey(layout: .bf16Panels, shape: [8, 4], recipe: "%0 = weight @w")
        var others: [PackedKey] = Array(repeating: key, count: 4)
        others[0].packer = WeightPacker.version + 1
        others[1].layout = .f32Panels
        others[2].shape = [4, 8]
        others[3].recipe = "%0 = weight @v"
        let digests = [key.digest(of: ["a", "b"]), key.digest(of: ["ab"]), key.digest(of: ["b", "a"])] + others.map { $0.digest(of: ["a", "b"]) }
        #expect(Set(digests).count == digests.count)
        #expect(PackedKey(layout: .bf16Panels, shape: [8, 4], recipe: "%0 = weight @w").digest(of: ["a", "b"]) == digests[0])
    }
}
