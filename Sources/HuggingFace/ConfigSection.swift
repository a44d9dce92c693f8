package import JSON

/// An object of a JSON configuration file, read with errors that name the file and the path of the key.
///
/// Every getter gives nil for a key that is absent or null, and throws when the value has another kind than asked for.
package struct ConfigSection: Sendable {
    package let file: String
    /// The dotted path of the object, empty at the top.
    package let path: String
    package let members: JSONObject

    package init(_ json: JSONValue, file: String, path: String = "") throws(CheckpointError) {
        guard let members = json.objectValue else {
            throw CheckpointError(.malformed, file: file, "\(path.isEmpty ? "the document" : path) is \(json.kind), expected an object")
        }
        self.file = file
        self.path = path
        self.members = members
    }

    package func keyPath(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    package func error(_ key: String, _ message: String, _ reason: CheckpointError.Reason = .malformed) -> CheckpointError {
        CheckpointError(reason, file: file, "\(keyPath(key)) \(message)")
    }

    private func value<T>(_ key: String, _ expected: String, _ read: (JSONValue) -> T?) throws(CheckpointError) -> T? {
        guard let value = members[key], value != .null else { return nil }
        guard let result = read(value) else { throw error(key, "is \(value.kind), expected \(expected)") }
        return result
    }

    /// Whether the key is there, null included.
    package func has(_ key: String) -> Bool { members[key] != nil }

    /// Whether the key is there and null.
    package func isNull(_ key: String) -> Bool { members[key]?.isNull ?? false }

    /// The first of these keys that is there.
    package func int(_ keys: String...) throws(CheckpointError) -> Int? {
        for key in keys {
            if let number = try int(key) { return number }
        }
        return nil
    }

    package func int(_ key: String) throws(CheckpointError) -> Int? { try value(key, "an integer", \.intValue) }
    package func double(_ key: String) throws(CheckpointError) -> Double? { try value(key, "a number", \.doubleValue) }
    package func bool(_ key: String) throws(CheckpointError) -> Bool? { try value(key, "a boolean", \.boolValue) }
    package func string(_ key: String) throws(CheckpointError) -> String? { try value(key, "a string", \.stringValue) }

    package func strings(_ key: String) throws(CheckpointError) -> [String]? {
        try value(key, "a list of strings") { value in
            guard let elements = value.arrayValue else { return nil }
            let strings = elements.compactMap(\.stringValue)
            return strings.count == elements.count ? strings : nil
        }
    }

    package func doubles(_ key: String) throws(CheckpointError) -> [Double]? {
        try value(key, "a list of numbers") { value in
            guard let elements = value.arrayValue else { return nil }
            let numbers = elements.compactMap(\.doubleValue)
            return numbers.count == elements.count ? numbers : nil
        }
    }

    /// One integer or a list of them.
    package func ints(_ key: String) throws(CheckpointError) -> [Int]? {
        try value(key, "an integer or a list of integers") { value in
            guard let elements = value.arrayValue else { return value.intValue.map { [$0] } }
            let ints = elements.compactMap(\.intValue)
            return ints.count == elements.count ? ints : nil
        }
    }

    package func section(_ key: String) throws(CheckpointError) -> ConfigSection? {
        guard let value = members[key], value != .null else { return nil }
        return try ConfigSection(value, file: file, path: keyPath(key))
    }
}

extension ConfigSection {
    /// A whole number that must be there and within bounds.
    package func size(_ key: String, in range: ClosedRange<Int> = 1...1 << 24) throws(CheckpointError) -> Int {
        guard let number = try int(key) else { throw error(key, "is missing") }
        guard range.contains(number) else {
            throw error(key, "is \(number), expected \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// A real number that must be there, above zero, and both as f32.
    package func positive(_ key: String) throws(CheckpointError) -> Double {
        guard let number = try double(key) else { throw error(key, "is missing") }
        guard number > 0 else { throw error(key, "is \(number), expected a number above zero") }
        guard Float(number) > 0, Float(number).isFinite else { throw error(key, "is \(number), which is beyond what f32 holds") }
        return number
    }

    /// An object that must be there.
    package func required(_ key: String) throws(CheckpointError) -> ConfigSection {
        guard let section = try section(key) else { throw error(key, "is missing") }
        return section
    }
}
