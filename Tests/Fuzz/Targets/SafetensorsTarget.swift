import Foundation
import HuggingFace
import Seeded
import Tensors

extension FuzzTarget {
    /// Safetensors files: of one that is taken, every tensor lies in the file, has the bytes of its shape, and overlaps none.
    static let safetensors = FuzzTarget("safetensors", secondsMax: 2) { dice, corpus in
        let file = dice.pick(corpus) ?? []
        let header = SafetensorsBytes.header(of: file)
        guard !header.isEmpty, !dice.once(in: 6) else { return ByteMutation.apply(file, &dice, corpus: corpus, words: safetensorsWords) }
        let changed = JSONText.changed(header, &dice, corpus: corpus.map(SafetensorsBytes.header), words: safetensorsWords)
        var data = Array(file.dropFirst(8 + header.count))
        if dice.once(in: 3) { data = Array(data.prefix(dice.below(data.count + 1))) }
        return SafetensorsBytes.length(changed.count) + changed + data
    } check: { input in
        let path = FuzzFiles.write(input, "safetensors")
        defer { unlink(path) }
        guard let file = try? SafetensorsFile(path: path) else { return }
        let dataStart = 8 + SafetensorsBytes.header(of: input).count
        var end = dataStart
        for tensor in file.tensors {
            guard tensor.range.lowerBound == end, tensor.range.upperBound <= input.count else {
                throw Finding("\(tensor.name) lies at \(tensor.range), after \(end), in a file of \(input.count) bytes")
            }
            end = tensor.range.upperBound
            let elements = tensor.type.shape.dims.reduce(1) { $0 * ($1.fixedValue ?? 0) }
            guard elements * tensor.type.element.byteCount == tensor.byteCount else {
                throw Finding("\(tensor.name) has \(tensor.byteCount) bytes for \(elements) elements")
            }
            let same = tensor.withBytes { $0.elementsEqual(input[tensor.range]) }
            guard same else { throw Finding("\(tensor.name) has other bytes than its range") }
        }
        guard end == input.count || file.tensors.isEmpty else { throw Finding("\(input.count - end) bytes belong to nobody") }
    }

    private static let safetensorsWords = [
        "dtype", "shape", "data_offsets", "__metadata__", "F32", "BF16", "F16", "I64", "F8_E4M3", "F4", "[0,4]", "[4,0]", "[-4,0]",
        "9223372036854775807", "[4294967296,4294967296]", "[0]", "{}", "null",
    ]
}

enum SafetensorsBytes {
    /// As long as the file says; empty where that is longer than the file.
    static func header(of file: [UInt8]) -> [UInt8] {
        guard file.count >= 8 else { return [] }
        let length = file.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return length <= UInt64(file.count - 8) ? Array(file[8..<8 + Int(length)]) : []
    }

    static func length(_ count: Int) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: count >> (8 * $0)) } }
}
