import Foundation

/// The JSON of small sections: sorted keys, so that equal values are equal bytes.
package enum JSONCoding {
    /// `value` as JSON, on one line or indented.
    package static func encode(_ value: some Encodable, pretty: Bool = false) throws(ArtifactError) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting =
            pretty ? [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted] : [.sortedKeys, .withoutEscapingSlashes]
        do {
            return Array(try encoder.encode(value)) + [UInt8(ascii: "\n")]
        } catch {
            throw .refused("a section cannot be written as JSON: \(error)")
        }
    }

    /// A value out of JSON; `path` and `section` name the source in errors.
    package static func decode<Value: Decodable>(
        _ type: Value.Type, from bytes: [UInt8], path: String, section: String
    ) throws(ArtifactError) -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch let error as DecodingError {
            throw .malformed(path: path, section: section, reason: reason(error))
        } catch {
            throw .malformed(path: path, section: section, reason: "it is not JSON")
        }
    }

    private static func reason(_ error: DecodingError) -> String {
        let (context, missing): (DecodingError.Context, String?) =
            switch error {
            case .keyNotFound(let key, let context): (context, key.stringValue)
            case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context): (context, nil)
            @unknown default: (.init(codingPath: [], debugDescription: ""), nil)
            }
        let place = context.codingPath.map { $0.intValue.map(String.init) ?? $0.stringValue }.joined(separator: ".")
        if let missing { return "\(place.isEmpty ? "" : place + ".")\(missing) is missing" }
        return place.isEmpty ? "it is not JSON" : "\(place) has another type or value"
    }
}
