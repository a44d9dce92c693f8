internal import Foundation
internal import Glibc
internal import JSON
package import Plan

/// A generation_config.json that is read when a server starts, in place of the model's own.
package struct GenerationFile: Sendable {
    package let defaults: GenerationDefaults

    /// Why the file does not become defaults.
    package struct Fault: Error, Sendable, CustomStringConvertible {
        package let description: String
    }

    /// - Parameter directory: where the file lies.
    package init(in directory: String) throws(Fault) {
        let path = directory + "/generation_config.json"
        var status = stat()
        guard access(path, R_OK) == 0, stat(path, &status) == 0 else { throw Fault(description: "\(path) cannot be read: \(String(cString: strerror(errno)))") }
        guard status.st_mode & S_IFMT == S_IFREG, let data = FileManager.default.contents(atPath: path) else {
            throw Fault(description: "\(path) cannot be read: it is no file, or a damaged one")
        }
        try self.init(Array(data), path: path)
    }

    package init(_ bytes: [UInt8], path: String) throws(Fault) { try self.init(try Self.object(bytes, path), path) }

    /// Fields that a person gives by hand: all of them must be known.
    package init(overriding bytes: [UInt8], named path: String) throws(Fault) {
        let object = try Self.object(bytes, path)
        for (name, _) in object where !Self.fields.contains(name) {
            throw Fault(description: "\(path): \(name) is none of \(Self.fields.joined(separator: ", "))")
        }
        try self.init(object, path)
    }

    private static let fields = ["do_sample", "temperature", "top_p", "top_k", "min_p", "repetition_penalty", "max_new_tokens"]

    private static func object(_ bytes: [UInt8], _ path: String) throws(Fault) -> JSONObject {
        let json: JSONValue
        do { json = try JSONValue(parsing: bytes) } catch { throw Fault(description: "\(path): \(error)") }
        guard let object = json.objectValue else { throw Fault(description: "\(path) holds \(json.kind), not an object") }
        return object
    }

    private init(_ object: JSONObject, _ path: String) throws(Fault) {
        let members = Members(object: object, path: path)
        defaults = GenerationDefaults(
            doSample: try members.boolean("do_sample"), temperature: try members.number("temperature", "at least 0") { $0 >= 0 && Float($0).isFinite },
            topP: try members.number("top_p", "above 0 and at most 1") { Float($0) > 0 && $0 <= 1 },
            topK: try members.integer("top_k", from: -1), minP: try members.number("min_p", "at least 0 and at most 1") { (0...1).contains($0) },
            repetitionPenalty: try members.number("repetition_penalty", "above 0") { Float($0) > 0 && Float($0).isFinite },
            maxNewTokens: try members.integer("max_new_tokens", from: 1))
    }

    private struct Members {
        let object: JSONObject
        let path: String

        private func value(_ name: String) -> JSONValue? {
            guard let value = object[name], !value.isNull else { return nil }
            return value
        }

        private func fault(_ name: String, _ value: JSONValue, _ expected: String) -> Fault {
            Fault(description: "\(path): \(name) must be \(expected), not \(value.serializedText)")
        }

        func boolean(_ name: String) throws(Fault) -> Bool? {
            guard let value = value(name) else { return nil }
            guard let boolean = value.boolValue else { throw fault(name, value, "a boolean") }
            return boolean
        }

        func integer(_ name: String, from least: Int) throws(Fault) -> Int? {
            guard let value = value(name) else { return nil }
            guard let integer = value.intValue, integer >= least else { throw fault(name, value, "a whole number of at least \(least)") }
            return integer
        }

        func number(_ name: String, _ range: String, _ isAllowed: (Double) -> Bool) throws(Fault) -> Double? {
            guard let value = value(name) else { return nil }
            guard let number = value.doubleValue, isAllowed(number) else { throw fault(name, value, "a number \(range)") }
            return number
        }
    }
}
