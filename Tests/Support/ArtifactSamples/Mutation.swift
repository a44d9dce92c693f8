import ArtifactFormat
import Foundation
import Plan

/// Damage to an artifact that no checksum shows: a value or some bytes of one section are others, and all digests agree again.
package struct Mutation: CustomStringConvertible {
    /// What was changed, such as `inputs.json vocabularySize := -1`.
    package private(set) var description = ""
    private var dice: Dice

    /// Applies the mutation that `seed` chooses to the artifact at `directory`; the same seed makes the same mutation.
    @discardableResult
    package static func apply(seed: UInt64, to directory: String) throws -> Mutation {
        var mutation = Mutation(dice: Dice(state: seed))
        try mutation.apply(to: directory)
        return mutation
    }

    private mutating func apply(to directory: String) throws {
        let manifest = try Self.object(directory, "manifest.json")
        let others = (manifest["sections"] as? [String: Any] ?? [:]).keys.sorted() + ["manifest.json"]
        let likely = ["inputs.json", "inputs.json", "program.json", "program.json", "weights.json", "golden.json"].filter(others.contains)
        let name = dice.roll(4) == 0 ? others[dice.roll(others.count)] : likely[dice.roll(likely.count)]
        let path = "\(directory)/\(name)"
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        if name.hasSuffix(".json") {
            let tree = try JSONSerialization.jsonObject(with: bytes)
            bytes = try JSONSerialization.data(withJSONObject: changed(tree, place: name), options: [.fragmentsAllowed])
        } else {
            change(&bytes, name)
        }
        try bytes.write(to: URL(fileURLWithPath: path), options: .atomic)
        try Self.rekey(directory)
    }

    /// The tree with one of its values changed: the deeper, the likelier.
    private mutating func changed(_ value: Any, place: String) -> Any {
        let goesOn = dice.roll(12) > 0
        if goesOn, var object = value as? [String: Any], let key = object.keys.sorted().randomElement(using: &dice) {
            if dice.roll(30) == 0 {
                object[key] = nil
                description = "\(place).\(key) removed"
            } else {
                object[key] = object[key].map { changed($0, place: "\(place).\(key)") }
            }
            return object
        }
        if goesOn, var array = value as? [Any], let index = array.indices.randomElement(using: &dice) {
            switch dice.roll(30) {
            case 0: array.remove(at: index)
            case 1: array.insert(array[index], at: index)
            default: array[index] = changed(array[index], place: "\(place)[\(index)]")
            }
            if description.isEmpty { description = "\(place)[\(index)] removed or twice" }
            return array
        }
        let new = replacement(for: value)
        description = "\(place) := \(String("\(new)".prefix(80)))"
        return new
    }

    private mutating func replacement(for value: Any) -> Any {
        if let text = value as? String, text.utf8.count > 64, var steps = Data(base64Encoded: text) {
            change(&steps, "steps")
            return steps.base64EncodedString()
        }
        let texts = ["", "\u{0}", String(repeating: "x", count: 5000), "bf16", "u8", "bool", "i32", "T", "S", "nearest", "int8", "slots", "visible"]
        let numbers: [Any] = [
            -1, 0, 1, 2, 3, 7, 4096, 1 << 20, 1 << 31, 1 << 32, 1 << 40, Int.max, Int.max - 1, Int.min, 0.5, 1e308, 1e-300, -1e308,
        ]
        let choices: [Any] = [
            NSNull(), [Any](), [String: Any](), true, ["sequential": ["start": Int.max]], ["sequential": ["start": 0]],
            ["fixed": ["count": 7]], ["keep": [String: Any]()], ["input": ["_0": "positions"]], ["input": ["_0": "slots"]],
            ["causal": ["window": 0, "spans": true]], ["segments": ["queries": "images", "keys": "tiles"]],
            ["weight": ["_0": 3]], ["output": ["_0": 0]], ["arena": ["offset": 0, "stride": Int.max]], ["copy": [String: Any]()],
            ["widen": [String: Any]()], ["int4Blocks": ["group": 0]], ["int8Blocks": ["group": 48]], ["f8Blocks": ["group": 3]], ["f4Blocks": ["group": 16]],
            ["indices": [String: Any]()], ["kvWrite": ["layer": Int.max]],
        ]
        let isText = value is String
        if dice.roll(4) == 0 || value is [String: Any] || value is [Any] { return choices[dice.roll(choices.count)] }
        if isText { return texts[dice.roll(texts.count)] }
        if let number = value as? Int, dice.roll(3) == 0 { return number.addingReportingOverflow(dice.roll(3) - 1).partialValue }
        return numbers[dice.roll(numbers.count)]
    }

    /// One byte, four bytes, or the length.
    private mutating func change(_ bytes: inout Data, _ place: String) {
        guard !bytes.isEmpty else { return bytes.append(0) }
        let index = dice.roll(bytes.count)
        switch dice.roll(8) {
        case 0: bytes = bytes.prefix(index)
        case 1: bytes += bytes.prefix(index)
        case 2, 3:
            let words: [UInt32] = [.max, 0, 1, 64, 1 << 31]
            let word = words[dice.roll(words.count)]
            let start = index / 4 * 4
            let end = min(start + 4, bytes.count)
            withUnsafeBytes(of: word.littleEndian) { bytes.replaceSubrange(start..<end, with: $0.prefix(end - start)) }
        default: bytes[index] = UInt8(dice.roll(256))
        }
        description = "\(place) near byte \(index)"
    }
}

extension Mutation {
    /// Has the digests, sums and limits that one section keeps of others agree again, as whoever writes an artifact could.
    package static func rekey(_ directory: String) throws {
        try resum(directory)
        var manifest = try object(directory, "manifest.json")
        var sections = manifest["sections"] as? [String: Any] ?? [:]
        for name in sections.keys {
            guard let data = try? Data(contentsOf: URL(fileURLWithPath: "\(directory)/\(name)")) else { continue }
            sections[name] = ["bytes": data.count, "sha256": Digest.of(Array(data))]
        }
        manifest["sections"] = sections
        if let program = try? object(directory, "program.json"), var key = manifest["key"] as? [String: Any] {
            key["limits"] = program["limits"]
            key["kvElement"] = (program["kv"] as? [String: Any])?["element"]
            var configs = key["configs"] as? [String: Any] ?? [:]
            for (field, section) in [("tokenizer", "tokenizer.bin"), ("processor", "inputs.json"), ("template", "chat_template.jinja")] {
                configs[field] = (sections[section] as? [String: Any])?["sha256"] ?? ""
            }
            key["configs"] = configs
            manifest["key"] = key
        }
        try seal(manifest, directory)
    }

    /// Writes a manifest with its digests and its checksum.
    private static func seal(_ manifest: [String: Any], _ directory: String) throws {
        var bytes = Array(try JSONSerialization.data(withJSONObject: manifest))
        if var decoded = try? JSONCoding.decode(Manifest.self, from: bytes, path: directory, section: "manifest.json") {
            (decoded.keyDigest, decoded.programKey) = (decoded.key.digest, decoded.key.programKey)
            bytes = try JSONCoding.encode(decoded)
        }
        try Data(bytes).write(to: URL(fileURLWithPath: directory + "/manifest.json"), options: .atomic)
        let line = "\(Digest.of(bytes))  manifest.json\n"
        try Data(line.utf8).write(to: URL(fileURLWithPath: directory + "/manifest.sha256"), options: .atomic)
    }

    /// The sums of weights that lie in their file.
    private static func resum(_ directory: String) throws {
        let path = directory + "/weights.json"
        guard let table = FileManager.default.contents(atPath: path), let bytes = FileManager.default.contents(atPath: directory + "/weights.bin"),
            var weights = try? JSONCoding.decode([WeightEntry].self, from: Array(table), path: directory, section: "weights.json")
        else { return }
        for (index, weight) in weights.enumerated() {
            guard weight.offset >= 0, weight.byteCount >= 0, weight.offset <= bytes.count, weight.byteCount <= bytes.count - weight.offset
            else { continue }
            let part = bytes.subdata(in: weight.offset..<weight.offset + weight.byteCount)
            weights[index].sum = part.withUnsafeBytes { LineSum.of($0) }
        }
        try Data(JSONCoding.encode(weights)).write(to: URL(fileURLWithPath: path), options: .atomic)
    }

    /// Changes a JSON section of an artifact; everything else agrees with it afterwards.
    package static func edit(_ name: String, of directory: String, _ change: (inout [String: Any]) -> Void) throws {
        var tree = try object(directory, name)
        change(&tree)
        guard name != "manifest.json" else { return try seal(tree, directory) }
        let data = try JSONSerialization.data(withJSONObject: tree)
        try data.write(to: URL(fileURLWithPath: "\(directory)/\(name)"), options: .atomic)
        try rekey(directory)
    }

    private static func object(_ directory: String, _ name: String) throws -> [String: Any] {
        let data = try Data(contentsOf: URL(fileURLWithPath: "\(directory)/\(name)"))
        return try JSONSerialization.jsonObject(with: data) as? [String: Any] ?? [:]
    }
}

/// SplitMix64.
private struct Dice: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }

    mutating func roll(_ count: Int) -> Int { Int(next() % UInt64(count)) }
}
