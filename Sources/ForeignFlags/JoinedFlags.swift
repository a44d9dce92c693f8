internal import JSON

/// Flags whose value is an object of JSON, member by member, as vLLM takes them: `--limit-mm-per-prompt.video 0`.
enum JoinedFlags {
    /// The words with one flag where the first of its members stood.
    static func join(_ words: [String]) throws(FlagError) -> [String] {
        var objects: [String: (value: JSONObject, place: Int)] = [:]
        var joined: [String] = []
        var rest = words[...]
        while let word = rest.popFirst() {
            guard word != "--" else { return joined + [word] + rest }
            guard let (name, path, inline) = member(word) else {
                joined.append(word)
                continue
            }
            guard let text = inline ?? rest.popFirst() else { throw FlagError("\(word) needs a value") }
            if objects[name] == nil { joined += [name, ""] }
            let (known, place) = objects[name] ?? (JSONObject(), joined.count - 1)
            let object = with((try? JSONValue(parsing: text)) ?? .string(text), at: path[...], in: known)
            objects[name] = (object, place)
            joined[place] = JSONValue.object(object).serializedText
        }
        return joined
    }

    /// The flag, the members that lead to the value, and the value where it stands behind `=`.
    private static func member(_ word: String) -> (name: String, path: [String], value: String?)? {
        let equals = word.firstIndex(of: "=") ?? word.endIndex
        let parts = word[..<equals].split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard parts.count > 1, word.hasPrefix("-"), parts[0].dropFirst().first.map({ $0.isLetter || $0 == "-" }) == true, !parts.contains("") else { return nil }
        let name = parts[0].hasPrefix("--") ? parts[0].replacing("_", with: "-") : parts[0]
        return (name, Array(parts.dropFirst()), equals == word.endIndex ? nil : String(word[word.index(after: equals)...]))
    }

    private static func with(_ value: JSONValue, at path: ArraySlice<String>, in object: JSONObject) -> JSONObject {
        var object = object
        guard let first = path.first else { return object }
        let rest = path.dropFirst()
        object[first] = rest.isEmpty ? value : .object(with(value, at: rest, in: object[first]?.objectValue ?? JSONObject()))
        return object
    }
}
