import HuggingFace
import Tensors
import Testing

@Suite struct GroupListTests {
    /// A checkpoint of lists of groups alone.
    private func lists(_ tensors: KeyValuePairs<String, [Int32]>) throws -> [String: GroupList] {
        let directory = try TemporaryDirectory()
        var writer = SafetensorsWriter()
        for (name, numbers) in tensors { writer.add(name, .i32, shape: [numbers.count], numbers) }
        try writer.write(to: directory.path + "/model.safetensors")
        return GroupList.lists(of: try Checkpoint(directory: directory.path))
    }

    @Test("layers whose lists are the same share the first, in the order of names")
    func shares() throws {
        let found = try lists(["k.g_idx": [1, 0, 0, 1], "q.g_idx": [1, 0, 0, 1], "v.weight_g_idx": [1, 0, 1, 0], "a.bias": [1, 0, 0, 1]])
        #expect(found["q.g_idx"] == GroupList(first: "k.g_idx", span: nil) && found["q.g_idx"] == found["k.g_idx"])
        #expect(found["v.weight_g_idx"] == GroupList(first: "v.weight_g_idx", span: nil))
        #expect(found["a.bias"] == nil)
    }

    @Test("a list that only counts says so", arguments: [
        ([0, 0, 1, 1], 2), ([0, 0, 0, 0], 4), ([0, 1, 2], 1), ([0, 0, 1], 2),
        ([1, 1, 2, 2], nil), ([0, 0, 1, 1, 2], 2), ([0, 1, 1, 2], nil), ([0, 0, 2, 2], nil),
    ] as [([Int32], Int?)])
    func counts(numbers: [Int32], span: Int?) throws {
        #expect(try lists(["a.g_idx": numbers])["a.g_idx"]?.span == span)
    }
}
