internal import JSON
internal import Serving

/// A line of a batch file in OpenAI's form: which of our routes it asks, and what.
package struct BatchLine: Sendable {
    /// Of the line in the file, from 1.
    let number: Int
    let customID: String
    let endpoint: Endpoint
    /// The body, as it would come over a connection.
    let body: [UInt8]

    /// What a batch may ask for.
    static let endpoints: [Endpoint] = [.chat, .completions, .responses, .embeddings]

    /// Most bytes of `custom_id`.
    private static let customIDBytesMax = 512
    private static let fields: Set<String> = ["custom_id", "method", "url", "body"]

    /// - Parameter bytes: the line without its break.
    init(_ number: Int, _ bytes: [UInt8]) throws(APIError) {
        self.number = number
        let json: JSONValue
        do { json = try JSONValue(parsing: bytes, countLimit: RequestIntake.maxBodyValues) } catch {
            throw .invalid("the line is no JSON: \(error)", code: "invalid_json")
        }
        guard let object = json.objectValue else { throw .invalid("the line must be a JSON object, not \(json.kind)") }
        let fields = FieldReader(object: object)
        guard let id = try fields.string("custom_id") else { throw .invalid("custom_id is required", param: "custom_id") }
        guard (1...Self.customIDBytesMax).contains(id.utf8.count) else {
            throw .invalid("custom_id must be 1 to \(Self.customIDBytesMax) bytes", param: "custom_id")
        }
        customID = id
        for (name, value) in object where !Self.fields.contains(name) && !value.isNull { throw .unknown(field: name) }
        let method = try fields.string("method") ?? "POST"
        guard method.uppercased() == "POST" else { throw .invalid("method must be POST, not \(quoted: method)", param: "method") }
        guard let url = try fields.string("url") else { throw .invalid("url is required", param: "url") }
        guard let endpoint = Self.endpoints.first(where: { $0.path == url }) else {
            let paths = Self.endpoints.map(\.path).joined(separator: " or ")
            throw .invalid("url must be \(paths), not \(quoted: url, upTo: 100)", param: "url")
        }
        self.endpoint = endpoint
        guard let value = fields.value("body") else { throw .invalid("body is required", param: "body") }
        guard value.objectValue != nil else { throw fields.mismatch("body", value, "an object") }
        body = value.serialized
    }

    /// The name that a line has, whatever else is wrong with it; nil for one without.
    static func customID(of bytes: [UInt8]) -> String? {
        (try? JSONValue(parsing: bytes, countLimit: RequestIntake.maxBodyValues))?["custom_id"]?.stringValue
    }
}

/// A line of a batch's results.
package struct BatchResult: Sendable {
    /// Its bytes, with the break behind them.
    package let bytes: [UInt8]
    /// Whether the request was answered.
    package let isAnswered: Bool

    /// What `id` is of the result for a line of the input, counted from 1.
    static func id(ofLine number: Int) -> String { "batch_req_\(number)" }

    /// Whether a line that was not written to its end may be a result.
    package static func mayBegin(_ bytes: [UInt8]) -> Bool {
        let beginning = JSONValue.object(["id": .string(id(ofLine: 0))]).serialized.dropLast(3)
        return bytes.prefix(beginning.count).elementsEqual(beginning.prefix(bytes.count))
    }

    init(of line: BatchLine, body: JSONValue) {
        self.init(line.number, line.customID, response: Self.response(200, body), error: .null)
    }

    init(of line: BatchLine, error: APIError) {
        self.init(line.number, line.customID, response: Self.response(error.status, error.body), error: error.body["error"] ?? .null)
    }

    /// Of a line that is wrong in itself, so that nothing was asked.
    init(wrongLine number: Int, customID: String?, error: APIError) {
        self.init(number, customID, response: .null, error: error.body["error"] ?? .null)
    }

    private init(_ number: Int, _ customID: String?, response: JSONValue, error: JSONValue) {
        let result: JSONValue = [
            "id": .string(Self.id(ofLine: number)), "custom_id": customID.map { .string($0) } ?? .null, "response": response, "error": error,
        ]
        bytes = result.serialized + [0x0A]
        isAnswered = error.isNull
    }

    private static func response(_ status: Int, _ body: JSONValue) -> JSONValue {
        ["status_code": .int(status), "request_id": .string("req_" + AnswerHead.newID()), "body": body]
    }
}

/// Which lines of a batch have their results already, as the results' file says.
package struct BatchRecord: Sendable {
    /// Of lines that were asked.
    private var customIDs: Set<String> = []
    /// Of results of lines that were wrong in themselves.
    private var ids: Set<String> = []
    /// Names of lines that were begun since.
    private var begun: Set<String> = []
    package private(set) var count = 0

    package init() {}

    /// Takes a line of the results, without its break; false where it is none.
    package mutating func add(_ bytes: [UInt8]) -> Bool {
        guard let result = try? JSONValue(parsing: bytes, countLimit: 1 << 24), let id = result["id"]?.stringValue,
            let response = result["response"], result["error"] != nil
        else { return false }
        if response.isNull {
            ids.insert(id)
        } else {
            guard let customID = result["custom_id"]?.stringValue else { return false }
            customIDs.insert(customID)
        }
        count += 1
        return true
    }

    /// What is to be done for a line of the input.
    package enum Work: Sendable {
        /// Its result is there.
        case nothing
        case ask(BatchLine)
        case tell(BatchResult)
    }

    /// What a line of the input asks for; lines are given in their order.
    ///
    /// - Parameters:
    ///   - number: the line's, from 1.
    ///   - bytes: the line without its break; nil for one of more than `bytesMax`.
    package mutating func work(line number: Int, _ bytes: [UInt8]?, bytesMax: Int) -> Work {
        func wrong(_ customID: String?, _ error: APIError) -> Work {
            if ids.contains(BatchResult.id(ofLine: number)) { return .nothing }
            return .tell(BatchResult(wrongLine: number, customID: customID, error: error))
        }
        guard let bytes else {
            return wrong(nil, .invalid("the line has more than \(bytesMax) bytes", code: "request_too_large", status: 413))
        }
        let line: BatchLine
        do throws(APIError) { line = try BatchLine(number, bytes) } catch { return wrong(BatchLine.customID(of: bytes), error) }
        guard begun.insert(line.customID).inserted else {
            return wrong(line.customID, .invalid("an earlier line has the same custom_id", param: "custom_id"))
        }
        return customIDs.contains(line.customID) ? .nothing : .ask(line)
    }
}
