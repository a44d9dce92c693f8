import Foundation
import HuggingFace
import Tensors
import Testing

@Suite struct SafetensorsTests {
    @Test func readsWhatItWrites() throws {
        let directory = try TemporaryDirectory()
        var writer = SafetensorsWriter()
        writer.metadata = ["format": "pt \"quoted\"\n"]
        writer.add("b", .f32, shape: [2, 1], [1.5, -2] as [Float])
        writer.add("a", .u8, shape: [3], [7, 8, 9] as [UInt8])
        writer.add("scalar", .i64, shape: [], [-5] as [Int64])
        writer.add("empty", .bf16, shape: [0, 4], bytes: [])
        try writer.write(to: directory.path + "/x.safetensors")
        let file = try SafetensorsFile(path: directory.path + "/x.safetensors")
        #expect(file.metadata == writer.metadata)
        #expect(Set(file.tensors.map(\.name)) == ["scalar", "b", "a", "empty"])
        #expect(file["b"]?.type == TensorType(.f32, [2, 1]))
        #expect(file["b"]?.withBytes { $0.loadUnaligned(fromByteOffset: 4, as: Float.self) } == -2)
        #expect(file["a"]?.withBytes { Array($0) } == [7, 8, 9])
        #expect(file["scalar"]?.withBytes { $0.loadUnaligned(as: Int64.self) } == -5)
        #expect(file["empty"]?.byteCount == 0)
        #expect(file["absent"] == nil)
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["x.safetensors"])
    }

    @Test func layoutDoesNotDependOnTheOrderOfAdding() {
        func encode(_ names: [String]) -> [UInt8] {
            var writer = SafetensorsWriter()
            for name in names { writer.add(name, .i32, shape: [1], [Int32(name.utf8.first!)]) }
            return writer.encoded()
        }
        #expect(encode(["a", "b", "c"]) == encode(["c", "a", "b"]))
    }

    static let good = #""x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#

    @Test(arguments: [
        ("[]", 0, nil, "JSON object"),
        ("{" + good, 8, nil, "valid JSON"),
        ("{" + good + "," + good + "}", 8, nil, "occurs twice"),
        (#"{"x":{"dtype":"F31","shape":[2],"data_offsets":[0,8]}}"#, 8, "x", "unknown dtype \"F31\""),
        (#"{"x":{"dtype":"F8_E5M2","shape":[8],"data_offsets":[0,8]}}"#, 8, "x", "F8_E5M2"),
        (#"{"x":{"shape":[2],"data_offsets":[0,8]}}"#, 8, "x", "no dtype"),
        (#"{"x":{"dtype":"F32","data_offsets":[0,8]}}"#, 8, "x", "no shape"),
        (#"{"x":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}"#, 8, "x", "shape"),
        (#"{"x":{"dtype":"F32","shape":["2"],"data_offsets":[0,8]}}"#, 8, "x", "shape"),
        (#"{"x":{"dtype":"F32","shape":[2.5],"data_offsets":[0,8]}}"#, 8, "x", "shape"),
        (#"{"x":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}}"#, 8, "x", "larger than any memory"),
        (#"{"x":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8]}}"#, 8, "x", "shape"),
        (#"{"x":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, 8, "x", "8 bytes of data, but F32[3] takes 12"),
        (#"{"x":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}"#, 1, "x", "F4[3] takes 2"),
        (#"{"x":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#, 8, "x", "no range"),
        (#"{"x":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}}"#, 8, "x", "no range"),
        (#"{"x":{"dtype":"F32","shape":[2],"data_offsets":[0]}}"#, 8, "x", "data_offsets"),
        (#"{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,9223372036854775807]}}"#, 8, "x", "takes 8"),
        (#"{"x":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#, 12, "x", "hole"),
        ("{" + good + #","y":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#, 12, "y", "overlaps \"x\""),
        ("{" + good + "}", 7, "x", "truncated after 7"),
        ("{" + good + "}", 9, nil, "1 bytes at its end"),
        (#"{"__metadata__":{"a":1},"# + good + "}", 8, nil, "__metadata__.a"),
        (#"{"__metadata__":[],"# + good + "}", 8, nil, "__metadata__"),
        (String(repeating: "[", count: 10000), 0, nil, "JSON object"),
        (#"{"x":"# + String(repeating: "[", count: 10000), 0, nil, "nested deeper"),
    ])
    func refuses(header: String, dataByteCount: Int, tensor: String?, message: String) throws {
        let directory = try TemporaryDirectory()
        let path = try directory.write("bad.safetensors", header: header, data: Array(repeating: 0, count: dataByteCount))
        let error = checkpointError { _ = try SafetensorsFile(path: path) }
        #expect(error?.file == path)
        #expect(error?.tensor == tensor)
        #expect("\(error, default: "no error")".contains(message))
    }

    @Test func refusesFilesThatAreNotSafetensors() throws {
        let directory = try TemporaryDirectory()
        for (name, bytes) in [("empty", []), ("short", [1, 2, 3]), ("long", Array(repeating: 255, count: 16)), ("cut", [200, 0, 0, 0, 0, 0, 0, 0, 123])]
            as [(String, [UInt8])]
        {
            let path = try directory.write(name, bytes)
            #expect(checkpointError { _ = try SafetensorsFile(path: path) }?.reason == .malformed, "\(name)")
        }
        #expect(checkpointError { _ = try SafetensorsFile(path: directory.path) }?.reason == .malformed)
        #expect(checkpointError { _ = try SafetensorsFile(path: directory.path + "/absent") }?.reason == .missing)
    }

    @Test func survivesEveryTruncationAndFlippedHeaderByte() throws {
        let directory = try TemporaryDirectory()
        var writer = SafetensorsWriter()
        writer.add("first", .f32, shape: [2, 2], [1, 2, 3, 4] as [Float])
        writer.add("second", .i8, shape: [3], [1, 2, 3] as [Int8])
        let bytes = writer.encoded()
        for count in 0..<bytes.count {
            let path = try directory.write("cut", Array(bytes[..<count]))
            #expect(checkpointError { _ = try SafetensorsFile(path: path) } != nil, "cut after \(count)")
        }
        for index in 0..<bytes.count - 19 {
            for bit in 0..<8 {
                var flipped = bytes
                flipped[index] ^= 1 << bit
                let path = try directory.write("flipped", flipped)
                if let file = try? SafetensorsFile(path: path) {
                    for tensor in file.tensors { #expect(tensor.withBytes { $0.count } == tensor.byteCount) }
                }
            }
        }
    }
}
