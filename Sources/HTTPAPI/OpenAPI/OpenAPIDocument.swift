internal import HTTPTypes
internal import JSON

/// The OpenAPI 3.1 document of a server, made of the endpoints that it serves and of the tables by which requests are read.
struct OpenAPIDocument: Sendable {
    let json: JSONValue

    /// - Parameters:
    ///   - endpoints: those that are served.
    ///   - model: its name.
    ///   - access: which of them need a key.
    init(endpoints: [Endpoint], version: String, model: String, access: AccessRules) {
        let schemas = Self.parsed(PackageResources.schemas_json)
        var paths = JSONObject()
        var named = schemas
        for endpoint in endpoints {
            var methods = JSONObject()
            for method in endpoint.methods { methods[method.rawValue.lowercased()] = Self.operation(endpoint, method, access) }
            if endpoint == .model { methods["parameters"] = [["name": "model", "in": "path", "required": true, "schema": ["type": "string"], "description": "A name of the model."]] }
            paths[endpoint == .model ? "/v1/models/{model}" : endpoint.path] = .object(methods)
            if let body = endpoint.body { named[body.name] = Self.schema(of: body) }
        }
        named["Document"] = ["type": "object", "required": ["openapi", "info", "paths"], "properties": ["openapi": ["type": "string"]]]
        json = [
            "openapi": "3.1.0",
            "info": ["title": "vlm-serve", "version": .string(version), "description": .string("The routes of a server of \(model). Null is as good as absent, and a field that is not named here is an error.")],
            "servers": [["url": "/"]], "paths": .object(paths),
            "components": [
                "schemas": .object(named),
                "securitySchemes": ["bearer": ["type": "http", "scheme": "bearer"], "key": ["type": "apiKey", "in": "header", "name": "x-api-key"]],
            ],
        ]
    }

    private static func operation(_ endpoint: Endpoint, _ method: HTTPRequest.Method, _ access: AccessRules) -> JSONValue {
        var operation: JSONObject = [
            "operationId": .string(endpoint.methods.count > 1 ? "\(endpoint)_\(method.rawValue.lowercased())" : "\(endpoint)"),
            "summary": .string(endpoint.summary),
        ]
        if let body = endpoint.body { operation["requestBody"] = ["required": true, "content": ["application/json": ["schema": reference(body.name)]]] }
        var answers: JSONObject = ["200": answer(endpoint)]
        if endpoint.tellsOfReadiness { answers["503"] = ["description": "The server starts or stops.", "content": json(of: "Health")] }
        let error = endpoint.path.hasPrefix("/v1/messages") ? "MessageError" : "Error"
        answers["4XX"] = ["description": "The request is wrong, comes too early, or may not come.", "content": json(of: error)]
        answers["5XX"] = ["description": "The server cannot answer.", "content": json(of: error)]
        operation["responses"] = .object(answers)
        if access.needsKey(path: endpoint.path) { operation["security"] = [["bearer": []], ["key": []]] }
        return .object(operation)
    }

    private static func answer(_ endpoint: Endpoint) -> JSONValue {
        var content = JSONObject()
        switch endpoint.answer {
        case .text(let type): content[type] = ["schema": ["type": "string"]]
        case .json(let name, let streams):
            content["application/json"] = ["schema": reference(name)]
            guard streams else { break }
            let type = endpoint == .generate ? "application/x-ndjson" : "text/event-stream"
            content[type] = ["schema": ["type": "string", "description": "Where stream is true: an event, or a line, for each piece."]]
        }
        return ["description": .string(endpoint.summary), "content": .object(content)]
    }

    private static func json(of name: String) -> JSONValue { ["application/json": ["schema": reference(name)]] }

    private static func reference(_ name: String) -> JSONValue { ["$ref": .string("#/components/schemas/\(name)")] }

    /// The JSON of a file that is part of the program.
    private static func parsed(_ bytes: [UInt8]) -> JSONObject {
        guard let object = (try? JSONValue(parsing: bytes))?.objectValue else { preconditionFailure("a file of Sources/HTTPAPI/OpenAPI is no JSON object") }
        return object
    }
}

extension OpenAPIDocument {
    /// Schemas of fields, by their names.
    private static let fields = parsed(PackageResources.fields_json)
    /// Those that a body has under a name which means something else in others, by the body's name.
    private static let specialFields = parsed(PackageResources.special_fields_json)

    /// The schema of a field of a body; nil where nobody has written one.
    private static func schema(of field: String, in body: String) -> JSONValue? { specialFields[body]?[field] ?? fields[field] }

    private static func schema(of body: Endpoint.Body) -> JSONValue {
        var properties = JSONObject()
        for field in body.fields.supported.sorted() {
            let schema = schema(of: field, in: body.name) ?? [:]
            properties[field] = body.required.contains(field) ? schema : orNull(schema)
        }
        for field in body.fields.harmless.sorted() where properties[field] == nil { properties[field] = ["description": "Taken, and changes no answer."] }
        for (field, unbuilt) in body.fields.unsupported.sorted(by: { $0.key < $1.key }) where properties[field] == nil { properties[field] = unbuilt.schema }
        var schema: JSONObject = ["type": "object", "properties": .object(properties), "additionalProperties": ["type": "null"]]
        if !body.required.isEmpty { schema["required"] = .array(body.required.map { .string($0) }) }
        // Null is as good as absent.
        let present: JSONValue = ["not": ["type": "null"]]
        if !body.choice.isEmpty {
            schema["oneOf"] = .array(body.choice.map { field in ["required": [.string(field)], "properties": .object(JSONObject([(field, present)]))] })
        }
        return .object(schema)
    }

    private static func orNull(_ schema: JSONValue) -> JSONValue {
        var outer: JSONObject = ["anyOf": [schema, ["type": "null"]]]
        outer["description"] = schema["description"]
        return .object(outer)
    }
}
