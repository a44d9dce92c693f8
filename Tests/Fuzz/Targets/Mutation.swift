import JSON
import Seeded

/// Ways to damage bytes.
enum ByteMutation {
    private static let bytes: [UInt8] = [0, 1, 0x20, 0x22, 0x7F, 0x80, 0xC0, 0xED, 0xEF, 0xF4, 0xFF]

    /// One to four changes: flipped bits, lost, repeated and foreign stretches, words of the format.
    static func apply(_ input: [UInt8], _ dice: inout Dice, corpus: [[UInt8]], words: [String]) -> [UInt8] {
        var bytes = input
        for _ in 0...dice.below(4) { change(&bytes, &dice, corpus, words) }
        return Array(bytes.prefix(1 << 16))
    }

    private static func change(_ input: inout [UInt8], _ dice: inout Dice, _ corpus: [[UInt8]], _ words: [String]) {
        let place = dice.below(input.count + 1)
        let end = min(place + (dice.once(in: 4) ? dice.below(200) : dice.below(8)), input.count)
        switch dice.below(7) {
        case 0 where place < input.count: input[place] ^= 1 << UInt8(dice.below(8))
        case 1 where place < input.count: input[place] = dice.pick(bytes) ?? 0
        case 2: input.removeSubrange(place..<end)
        case 3: input.insert(contentsOf: Array(repeating: input[place..<end], count: 1 + dice.below(9)).joined(), at: place)
        case 4:
            guard let other = dice.pick(corpus), !other.isEmpty else { return }
            let start = dice.below(other.count)
            input.replaceSubrange(place..<end, with: other[start..<min(start + dice.below(200), other.count)])
        default: input.replaceSubrange(dice.once(in: 2) ? place..<place : place..<end, with: (dice.pick(words) ?? "").utf8)
        }
    }
}

/// Ways to change a JSON document that leave it one.
enum JSONMutation {
    private static let texts = ["", "\u{0}", "é", "e\u{301}", "👩‍👩‍👧", "\u{FFFD}", "a b", "null", "0", "\u{202E}", "<|im_end|>"]
    private static let numbers = [0, 1, -1, 2, 16, 255, 256, 65535, 1 << 31, 1 << 32, .max, .min, 1 << 53]

    /// One to three values replaced, removed, repeated, moved or wrapped.
    static func apply(_ document: JSONValue, _ dice: inout Dice, strings: [String]) -> JSONValue {
        var document = document
        for _ in 0...dice.below(3) { document = changed(document, &dice, strings) }
        return document
    }

    /// Goes down at random and changes what it comes to.
    private static func changed(_ value: JSONValue, _ dice: inout Dice, _ strings: [String]) -> JSONValue {
        switch value {
        case .array(var elements) where !elements.isEmpty && !dice.once(in: 6):
            let place = dice.below(elements.count)
            switch dice.below(8) {
            case 0: elements.remove(at: place)
            case 1: elements.insert(contentsOf: Array(repeating: elements[place], count: 1 + dice.below(20)), at: place)
            case 2: elements.swapAt(place, dice.below(elements.count))
            default: elements[place] = changed(elements[place], &dice, strings)
            }
            return .array(elements)
        case .object(var object) where !object.isEmpty && !dice.once(in: 6):
            let (name, other) = (dice.pick(object.keys) ?? "", dice.pick(object.keys) ?? "")
            switch dice.below(8) {
            case 0: object[name] = nil
            case 1: object[dice.pick(strings + texts) ?? ""] = object[name]
            case 2: (object[name], object[other]) = (object[other], object[name])
            default: object[name] = changed(object[name] ?? .null, &dice, strings)
            }
            return .object(object)
        default: return replaced(value, &dice, strings)
        }
    }

    private static func replaced(_ value: JSONValue, _ dice: inout Dice, _ strings: [String]) -> JSONValue {
        switch (value, dice.below(3)) {
        case (.int(let number), 0): return .int(number &+ (dice.pick([-1, 1, 1 << 20]) ?? 1))
        case (.bool(let flag), 0...1): return .bool(!flag)
        case (.string(let text), 0):
            return .string(String(decoding: ByteMutation.apply(Array(text.utf8), &dice, corpus: [], words: texts), as: UTF8.self))
        default: break
        }
        switch dice.below(9) {
        case 0: return .null
        case 1: return .bool(dice.once(in: 2))
        case 2: return .int(dice.pick(numbers) ?? 0)
        case 3: return .double(dice.pick([0.5, -0.0, 1e308, .leastNonzeroMagnitude, 1e15, 0.1]) ?? 0.5)
        case 4: return .string(dice.pick(texts) ?? "")
        case 5: return .array([value, value])
        case 6: return ["a": value]
        case 7: return .wide("123456789012345678901234567890")
        default: return .string(dice.pick(strings) ?? "")
        }
    }
}
