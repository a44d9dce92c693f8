/// The members of a JSON object in the order in which their keys first appeared.
///
/// Keys compare by their bytes. Setting a key again replaces its value and keeps its place, as Python's `dict` does.
package struct JSONObject: Sendable {
    package private(set) var keys: [String] = []
    package private(set) var values: [JSONValue] = []
    private var positions: [ExactText: Int] = [:]

    /// Objects up to this size are searched key by key and carry no index.
    private static let indexedFrom = 12

    package init() {}

    /// Of equal keys the last value counts.
    package init(_ members: some Sequence<(String, JSONValue)>) {
        for (key, value) in members { self[key] = value }
    }

    package var count: Int { keys.count }
    package var isEmpty: Bool { keys.isEmpty }

    /// The member of that name; setting nil removes it.
    package subscript(key: String) -> JSONValue? {
        get { position(of: key).map { values[$0] } }
        set {
            guard let newValue else { return remove(key) }
            if let position = position(of: key) {
                values[position] = newValue
            } else {
                append(key, newValue)
            }
        }
    }

    /// Takes the member out; nil when there is none.
    @discardableResult
    package mutating func removeValue(forKey key: String) -> JSONValue? {
        defer { remove(key) }
        return self[key]
    }

    private func position(of key: String) -> Int? {
        if count >= Self.indexedFrom { return positions[ExactText(key)] }
        return keys.firstIndex { $0.isExactly(key) }
    }

    private mutating func append(_ key: String, _ value: JSONValue) {
        keys.append(key)
        values.append(value)
        if count == Self.indexedFrom {
            reindex()
        } else if count > Self.indexedFrom {
            positions[ExactText(key)] = count - 1
        }
    }

    private mutating func remove(_ key: String) {
        guard let position = position(of: key) else { return }
        keys.remove(at: position)
        values.remove(at: position)
        reindex()
    }

    private mutating func reindex() {
        positions = [:]
        guard count >= Self.indexedFrom else { return }
        positions.reserveCapacity(count)
        for (position, key) in keys.enumerated() { positions[ExactText(key)] = position }
    }
}

extension JSONObject: Sequence {
    package func makeIterator() -> Zip2Sequence<[String], [JSONValue]>.Iterator {
        zip(keys, values).makeIterator()
    }
}

extension JSONObject: Equatable {
    package static func == (left: JSONObject, right: JSONObject) -> Bool {
        left.count == right.count && left.allSatisfy { key, value in right[key] == value }
    }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
    package init(dictionaryLiteral elements: (String, JSONValue)...) { self.init(elements) }
}
