internal import JSON

/// A JSON value and the path of keys that leads to it, for messages.
struct JSONNode {
    var value: JSONValue
    var path: String

    init(_ value: JSONValue, _ path: String) {
        self.value = value
        self.path = path
    }

    /// The member of that name; nil when it is missing or null.
    subscript(key: String) -> JSONNode? {
        guard let member = value[key], !member.isNull else { return nil }
        return JSONNode(member, path.isEmpty ? key : "\(path).\(key)")
    }

    func required(_ key: String) throws(TokenizerError) -> JSONNode {
        guard let member = self[key] else {
            throw .malformed(path.isEmpty ? "tokenizer.json" : path, "\"\(key)\" is missing")
        }
        return member
    }

    func index(_ index: Int) throws(TokenizerError) -> JSONNode {
        guard let element = value[index] else { throw .malformed(path, "element \(index) is missing") }
        return JSONNode(element, "\(path)[\(index)]")
    }

    func elements() throws(TokenizerError) -> [JSONNode] {
        guard let elements = value.arrayValue else { throw expected("an array") }
        return elements.enumerated().map { JSONNode($1, "\(path)[\($0)]") }
    }

    func string() throws(TokenizerError) -> String {
        guard let text = value.stringValue else { throw expected("a string") }
        return text
    }

    func bytes() throws(TokenizerError) -> [UInt8] {
        Array(try string().utf8)
    }

    func bool() throws(TokenizerError) -> Bool {
        guard let flag = value.boolValue else { throw expected("true or false") }
        return flag
    }

    func count() throws(TokenizerError) -> Int {
        guard case .int(let count) = value, count >= 0, count <= 1 << 20 else { throw expected("a small whole number") }
        return count
    }

    func id() throws(TokenizerError) -> Int32 {
        guard case .int(let id) = value, id >= 0, id <= Vocabulary.maximumID else {
            throw expected("an id up to \(Vocabulary.maximumID)")
        }
        return Int32(id)
    }

    func typeName() throws(TokenizerError) -> String {
        try required("type").string()
    }

    private func expected(_ what: String) -> TokenizerError {
        .malformed(path, "expected \(what), found \(value.kind)")
    }
}
