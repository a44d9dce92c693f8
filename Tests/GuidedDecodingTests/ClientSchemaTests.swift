import GuidedDecoding
import JSON
import Testing
import ThreadTime

/// Schemas as clients' libraries make them (pydantic, zod, OpenAPI's generators), with documents that are right and that are not.
@Suite struct ClientSchemaTests {
    struct Sample: Sendable, CustomTestStringConvertible {
        var name: String
        var schema: String
        var right: [String]
        var wrong: [String]
        var testDescription: String { name }
    }

    static let samples: [Sample] = [
        Sample(
            name: "pydantic: nested models, enums, optional fields",
            schema: ##"{"$defs": {"Addr": {"description": "An address.", "properties": {"street": {"title": "Street", "type": "string"}, "zip": {"pattern": "^\\d{5}$", "title": "Zip", "type": "string"}}, "required": ["street", "zip"], "title": "Addr", "type": "object"}, "Color": {"enum": ["red", "green"], "title": "Color", "type": "string"}}, "properties": {"age": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": null, "title": "Age"}, "addr": {"$ref": "#/$defs/Addr"}, "color": {"$ref": "#/$defs/Color", "description": "c", "examples": ["red"]}, "counts": {"additionalProperties": {"type": "integer"}, "default": {}, "type": "object"}}, "required": ["addr", "color"], "title": "A", "type": "object"}"##,
            right: [#"{"addr":{"street":"x","zip":"12345"},"color":"red"}"#, #"{"age":null,"addr":{"street":"","zip":"00000"},"color":"green","counts":{"a":1}}"#],
            wrong: [#"{"addr":{"street":"x","zip":"1234"},"color":"red"}"#, #"{"addr":{"street":"x","zip":"12345"}}"#, #"{"addr":{"street":"x","zip":"12345"},"color":"red","counts":{"a":"b"}}"#]),
        Sample(
            name: "pydantic: Decimal, an URL of bounded length, a set of an enum, keys of a pattern, bytes",
            schema: ##"{"type": "object", "properties": {"price": {"anyOf": [{"type": "number"}, {"type": "string", "pattern": "^(?!^[-+.]*$)[+-]?0*\\d*\\.?\\d*$"}]}, "url": {"type": "string", "format": "uri", "minLength": 1, "maxLength": 2083}, "colors": {"type": "array", "uniqueItems": true, "items": {"enum": ["red", "green", "blue"]}}, "m": {"type": "object", "patternProperties": {"^[a-z]+$": {"type": "integer"}}}, "b": {"type": "string", "format": "binary"}}, "additionalProperties": false}"##,
            right: [#"{"price":"1.50","url":"https://a.b:80/c","colors":["green","red"],"m":{"ab":1,"c":2},"b":"x"}"#, #"{"price":1.5,"colors":[],"m":{}}"#],
            wrong: [#"{"price":"-"}"#, #"{"price":"."}"#, #"{"url":"https://a.b:x/"}"#, #"{"colors":["red","red"]}"#, #"{"m":{"A":1}}"#, #"{"m":{"a":"x"}}"#, #"{"e":1}"#]),
        Sample(
            name: "zod: record, email, integer, null by not",
            schema: ##"{"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "properties": {"mail": {"type": "string", "format": "email", "pattern": "^(?!\\.)(?!.*\\.\\.)([A-Za-z0-9_'+\\-\\.]*)[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\\-]*\\.)+[A-Za-z]{2,}$"}, "n": {"type": "integer", "minimum": -9007199254740991, "maximum": 9007199254740991}, "r": {"type": "object", "propertyNames": {"type": "string", "maxLength": 2}, "additionalProperties": {"type": "number"}}, "never": {"not": {}}}, "required": ["mail"], "additionalProperties": false}"##,
            right: [#"{"mail":"a.b@c.de","n":-9007199254740991,"r":{"ab":1.5}}"#], wrong: [#"{"mail":"a..b@c.de"}"#, #"{"mail":".a@c.de"}"#, #"{"mail":"a@c.de","n":9007199254740992}"#, #"{"mail":"a@c.de","r":{"abc":1}}"#, #"{"mail":"a@c.de","never":1}"#]),
        Sample(
            name: "zod: record of an enum, discriminated union",
            schema: ##"{"type": "object", "properties": {"r": {"type": "object", "propertyNames": {"type": "string", "enum": ["a", "b"]}, "additionalProperties": {"type": "number"}, "required": ["a", "b"]}, "u": {"oneOf": [{"type": "object", "properties": {"t": {"type": "string", "const": "x"}, "n": {"type": "number"}}, "required": ["t", "n"], "additionalProperties": false}, {"type": "object", "properties": {"t": {"type": "string", "const": "y"}}, "required": ["t"], "additionalProperties": false}]}}, "required": ["r", "u"]}"##,
            right: [#"{"r":{"a":1,"b":2},"u":{"t":"x","n":1}}"#, #"{"r":{"a":1,"b":2},"u":{"t":"y"}}"#], wrong: [#"{"r":{"a":1},"u":{"t":"y"}}"#, #"{"r":{"a":1,"b":1,"c":1},"u":{"t":"y"}}"#, #"{"r":{"a":1,"b":2},"u":{"t":"y","n":1}}"#]),
        Sample(
            name: "OpenAPI: formats of numbers, passwords",
            schema: ##"{"type": "object", "properties": {"a": {"type": "integer", "format": "int32"}, "b": {"type": "integer", "format": "uint64"}, "c": {"type": "number", "format": "double"}, "p": {"type": "string", "format": "password", "writeOnly": true}}, "required": ["a", "b", "c", "p"]}"##,
            right: [#"{"a":-2147483648,"b":18446744073709551615,"c":1.5,"p":"x"}"#], wrong: [#"{"a":2147483648,"b":1,"c":1,"p":"x"}"#, #"{"a":0,"b":-1,"c":1,"p":"x"}"#, #"{"a":0,"b":18446744073709551616,"c":1,"p":"x"}"#]),
        Sample(
            name: "conditions",
            schema: ##"{"type": "object", "properties": {"kind": {"enum": ["a", "b"]}, "x": {"type": "integer"}}, "required": ["kind"], "if": {"properties": {"kind": {"const": "a"}}}, "then": {"required": ["x"]}, "else": {"properties": {"x": false}}, "additionalProperties": false}"##,
            right: [#"{"kind":"a","x":1}"#, #"{"kind":"b"}"#], wrong: [#"{"kind":"a"}"#, #"{"kind":"b","x":1}"#, #"{"kind":"c"}"#]),
        Sample(
            name: "a condition on a flag", schema: ##"{"type": "object", "properties": {"paid": {"type": "boolean"}, "sum": {"type": "integer"}}, "required": ["paid"], "if": {"properties": {"paid": {"const": true}}, "required": ["paid"]}, "then": {"required": ["sum"]}}"##,
            right: [#"{"paid":true,"sum":1}"#, #"{"paid":false}"#, #"{"paid":false,"sum":1}"#], wrong: [#"{"paid":true}"#]),
        Sample(
            name: "what depends on a member", schema: ##"{"type": "object", "properties": {"card": {"type": "string"}, "address": {"type": "string"}, "n": {"type": "integer"}}, "dependentRequired": {"card": ["address"]}, "dependentSchemas": {"n": {"properties": {"n": {"minimum": 5}}, "required": ["card"]}}, "additionalProperties": false}"##,
            right: ["{}", #"{"address":"x"}"#, #"{"card":"","address":"x"}"#, #"{"card":"","address":"x","n":5}"#], wrong: [#"{"card":""}"#, #"{"n":5}"#, #"{"card":"","address":"x","n":4}"#]),
        Sample(
            name: "extended models", schema: ##"{"allOf": [{"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}], "properties": {"b": {"type": "integer"}}, "unevaluatedProperties": false}"##,
            right: [#"{"b":1,"a":""}"#, #"{"a":""}"#], wrong: [#"{"a":"","c":1}"#, #"{"b":1}"#]),
        Sample(
            name: "what is unevaluated has a schema", schema: ##"{"type": "object", "anyOf": [{"properties": {"a": {"type": "null"}}, "required": ["a"]}, {"properties": {"b": {"type": "null"}}, "required": ["b"]}], "unevaluatedProperties": {"type": "integer"}}"##,
            right: [#"{"a":null,"c":1}"#, #"{"b":null}"#, #"{"a":null,"b":1}"#], wrong: [#"{"a":null,"c":null}"#, #"{"c":1}"#]),
        Sample(
            name: "numbers of members", schema: ##"{"type": "object", "properties": {"a": {"type": "null"}, "b": {"type": "null"}, "c": {"type": "null"}}, "minProperties": 2, "additionalProperties": false}"##,
            right: [#"{"a":null,"c":null}"#, #"{"a":null,"b":null,"c":null}"#], wrong: ["{}", #"{"b":null}"#]),
        Sample(
            name: "a map that is not empty", schema: ##"{"type": "object", "minProperties": 1, "maxProperties": 2, "additionalProperties": {"type": "integer"}}"##,
            right: [#"{"a":1}"#, #"{"a":1,"b":2}"#], wrong: ["{}", #"{"a":1,"b":2,"c":3}"#]),
        Sample(
            name: "names by patterns", schema: ##"{"type": "object", "properties": {"id": {"type": "integer"}}, "patternProperties": {"^x_": {"type": "string"}, "_n$": {"type": ["string", "integer"], "maxLength": 1}}, "additionalProperties": {"type": "boolean"}}"##,
            right: [#"{"id":1,"x_a":"long","x_n":"s","a_n":1,"other":true}"#], wrong: [#"{"x_n":"long"}"#, #"{"x_n":1}"#, #"{"x_a":true}"#, #"{"other":1}"#, #"{"id":true}"#]),
        Sample(
            name: "texts that are denied", schema: ##"{"type": "object", "properties": {"a": {"type": ["string", "null"], "not": {"enum": ["", "none", null]}}, "b": {"not": {"type": ["object", "array"]}}}, "required": ["a"]}"##,
            right: [#"{"a":"non","b":1}"#, #"{"a":"nones","b":""}"#], wrong: [#"{"a":""}"#, #"{"a":"none"}"#, #"{"a":null}"#, #"{"a":"x","b":[]}"#]),
        Sample(
            name: "a list that contains", schema: ##"{"type": "array", "items": {"type": "integer"}, "contains": {"minimum": 5}, "maxItems": 3}"##,
            right: ["[5]", "[1,7]", "[9,1,1]", "[6,6]"], wrong: ["[]", "[1,2]", "[1,2,3,5]"]),
        Sample(
            name: "a list without further elements", schema: ##"{"allOf": [{"prefixItems": [{"type": "integer"}, {"type": "string"}]}], "type": "array", "unevaluatedItems": false}"##,
            right: ["[]", #"[1,"a"]"#], wrong: [#"[1,"a",2]"#, #"["a"]"#]),
    ]

    @Test(arguments: samples) func documentsOfClientsSchemas(_ sample: Sample) throws {
        let grammar = try Guide.schema(JSONValue(parsing: sample.schema)).compiled()
        for document in sample.right { #expect(grammar.matches(document.utf8), "\(document)") }
        for document in sample.wrong { #expect(!grammar.matches(document.utf8), "\(document)") }
    }

    /// The bar is 50 ms; a slow machine gets five times as long.
    @Test func ordinarySchemasCompileSoon() throws {
        for sample in Self.samples {
            let schema = try JSONValue(parsing: sample.schema)
            let took = try threadTime { _ = try Guide.schema(schema).compiled() }
            #expect(took < .milliseconds(250), "\(sample.name) takes \(took)")
        }
    }
    private static func optional(_ count: Int) -> JSONValue {
        ["type": "object", "properties": .object(JSONObject((0..<count).map { ("field_\($0)", ["type": "integer", "title": .string("Field \($0)")]) }))]
    }

    /// The bar is 50 ms for forty members; a slow machine gets five times as long, and five times as many members as much again.
    @Test(arguments: [(40, Duration.milliseconds(250)), (200, .milliseconds(2500))]) func optionalMembersCompileSoon(_ count: Int, _ most: Duration) throws {
        var made: Grammar?
        let took = try threadTime { made = try Guide.schema(Self.optional(count)).compiled() }
        #expect(took < most, "\(count) members take \(took)")
        let grammar = try #require(made)
        let (first, last) = ("\"field_0\": 0", "\"field_\(count - 1)\": -7")
        let all = "{\n  " + (0..<count).map { "\"field_\($0)\": \($0)" }.joined(separator: ",\n  ") + "\n}"
        for document in ["{}", "{ }", "{\(first)}", "{\(last)}", "{\(first), \(last)}", "{\(first),\"field_7\":7,\(last) }", all] { #expect(grammar.matches(document.utf8), "\(document)") }
        for document in ["{,}", "{\(first),}", "{\(last), \(first)}", "{\(first), \(first)}", "{, \(last)}", "{\(first) \(last)}", "{\"field_\(count)\": 1}"] {
            #expect(!grammar.matches(document.utf8), "\(document)")
        }
    }

    /// What differs in notes alone is compiled once, what differs in more is not taken for the same.
    @Test func schemasThatLookAlikeKeepTheirMeaning() throws {
        let text = #"{"type": "object", "properties": {"a": {"type": "string", "maxLength": 1, "title": "A"}, "b": {"type": "string", "maxLength": 1, "title": "B"}, "c": {"type": "string", "maxLength": 2}, "d": {"enum": ["\u00e9"]}, "e": {"enum": ["e\u0301"]}, "f": {"not": {"type": "null"}, "type": ["boolean", "null"]}}}"#
        let grammar = try Guide.schema(JSONValue(parsing: text)).compiled()
        for right in [#"{"a":"x","b":"y","c":"zz","f":true}"#, "{\"d\":\"\u{e9}\",\"e\":\"e\u{301}\"}"] { #expect(grammar.matches(right.utf8), "\(right)") }
        for wrong in [#"{"b":"yy"}"#, #"{"c":"zzz"}"#, "{\"d\":\"e\u{301}\"}", "{\"e\":\"\u{e9}\"}", #"{"f":null}"#] { #expect(!grammar.matches(wrong.utf8), "\(wrong)") }
    }

    @Test func whatNobodyWaitsForIsGivenUp() throws {
        var looks = 0
        do {
            _ = try Guide.schema(Self.optional(200)).compiled {
                looks += 1
                return looks == 3
            }
            Issue.record("compiles")
        } catch {
            #expect(looks == 3 && "\(error)".contains("given up"), "\(error)")
        }
    }
}
