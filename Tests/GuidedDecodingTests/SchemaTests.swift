import Foundation
import GuidedDecoding
import JSON
import Seeded
import Testing
import ThreadTime

/// Every text that a schema's guide lets come, and that ends by itself, is a document that satisfies the schema.
@Suite struct SchemaTests {
    static let schemas: [String] = [
        #"{"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}, "required": ["name"]}"#,
        #"{"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "null"}, "c": {"type": "boolean"}}, "additionalProperties": {"type": "integer"}}"#,
        #"{"type": "object", "additionalProperties": {"type": "array", "items": {"type": "number"}}}"#,
        #"{"type": "object", "properties": {"a": {}}, "required": ["a", "b"], "additionalProperties": true}"#,
        #"{"type": "object", "additionalProperties": {"type": "integer"}, "maxProperties": 2}"#,
        #"{"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "maxProperties": 1}"#,
        #"{"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 4}"#,
        #"{"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": false}"#,
        #"{"type": "array", "prefixItems": [{"const": 1}], "items": {"type": "boolean"}, "minItems": 2}"#,
        #"{"enum": ["red", "green", 3, null, {"a": [1, 2]}, "quote\"slash\\"]}"#,
        #"{"type": "string", "enum": ["one", "three", "fifteen"], "maxLength": 5}"#,
        #"{"const": {"kind": "x", "n": [1, null]}}"#,
        #"{"type": "string", "minLength": 2, "maxLength": 5}"#, #"{"type": "string", "minLength": 3}"#, #"{"type": "string", "maxLength": 120}"#,
        #"{"type": "string", "pattern": "^[a-c]{2,4}$"}"#, #"{"type": "string", "pattern": "[0-9]"}"#, #"{"type": "string", "pattern": "^a|b$", "maxLength": 6}"#,
        #"{"type": "string", "pattern": "^\"\\\\?\n?$"}"#, #"{"type": "string", "pattern": "^[^a-z]{3}$"}"#,
        #"{"type": "integer", "minimum": 3, "maximum": 117}"#, #"{"type": "integer", "minimum": -12, "exclusiveMaximum": 5}"#,
        #"{"type": "integer", "exclusiveMinimum": 0}"#, #"{"type": "integer", "maximum": -7}"#, #"{"type": "integer", "multipleOf": 7, "minimum": 10, "maximum": 99}"#,
        #"{"type": "number", "minimum": 0.5, "maximum": 2.25}"#, #"{"type": "number", "exclusiveMinimum": -1.5, "exclusiveMaximum": 0}"#,
        #"{"type": "number", "multipleOf": 0.01, "minimum": 0, "maximum": 9.99}"#, #"{"type": "number", "multipleOf": 2.5, "maximum": 60, "minimum": -60}"#,
        #"{"type": ["integer", "null"], "minimum": 1, "maximum": 9}"#, #"{"type": ["string", "number", "array"], "maxItems": 1}"#,
        #"{"anyOf": [{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"type": "array", "items": {"type": "null"}}, {"type": "string"}]}"#,
        #"{"oneOf": [{"type": "object", "properties": {"kind": {"const": "a"}, "x": {"type": "integer"}}, "required": ["kind", "x"]}, {"type": "object", "properties": {"kind": {"const": "b"}, "y": {"type": "string"}}, "required": ["kind"]}]}"#,
        #"{"oneOf": [{"type": "integer", "maximum": 3}, {"type": "integer", "minimum": 5}, {"type": "null"}]}"#,
        #"{"allOf": [{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"properties": {"a": {"minimum": 4, "maximum": 6}, "b": {"type": "boolean"}}}]}"#,
        ##"{"allOf": [{"$ref": "#/$defs/low"}, {"anyOf": [{"type": "integer"}, {"type": "string"}]}], "$defs": {"low": {"minimum": 2, "maximum": 3, "type": ["integer", "null"]}}}"##,
        ##"{"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "properties": {"value": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}}, "required": ["value", "next"]}}}"##,
        ##"{"type": "object", "properties": {"name": {"type": "string"}, "item": {"type": "array", "items": {"$ref": "#"}}}, "required": ["name"]}"##,
        ##"{"$ref": "#/definitions/a~1b", "definitions": {"a/b": {"type": "boolean"}}}"##,
        #"{"type": "object"}"#, #"{}"#, "true",
        #"{"type": "object", "properties": {"never": false, "é\"": {"type": "integer", "minimum": 1, "maximum": 1}}, "required": ["é\""]}"#,
        #"{"type": "object", "patternProperties": {"^a": {"type": "integer"}, "b$": {"maximum": 5}}, "additionalProperties": {"type": "null"}, "minProperties": 1}"#,
        #"{"type": "object", "properties": {"a": true, "bb": true}, "propertyNames": {"maxLength": 1}, "additionalProperties": {"type": "integer"}}"#,
        #"{"type": "object", "properties": {"a": {"type": "null"}, "b": {"type": "null"}, "c": {"type": "null"}}, "dependentRequired": {"a": ["c"]}, "minProperties": 1, "maxProperties": 2}"#,
        #"{"type": "array", "items": {"enum": [1, 1.0, "a", null]}, "uniqueItems": true, "minItems": 2}"#,
        #"{"type": "array", "items": {"type": "integer", "maximum": 9}, "contains": {"minimum": 5}, "maxItems": 4}"#,
        #"{"type": "object", "properties": {"k": {"enum": ["a", "b"]}, "v": {"type": "integer"}}, "required": ["k"], "if": {"properties": {"k": {"const": "a"}}}, "then": {"required": ["v"]}, "else": {"properties": {"v": false}}}"#,
        #"{"type": ["string", "null"], "maxLength": 2, "not": {"enum": ["a", null]}}"#, #"{"type": "string", "pattern": "^(?!a)(?=.*b)[ab]{1,4}$"}"#,
        #"{"properties": {"tags": {"type": "array", "items": {"enum": ["x", "y"]}, "maxItems": 3}}, "additionalProperties": false}"#,
    ]

    @Test(arguments: schemas) func whatEndsIsValid(_ text: String) throws {
        let schema = try JSONValue(parsing: text)
        let guide = TokenGuide(try Guide.schema(schema).compiled(), TestVocabulary.trie)
        let checker = SchemaChecker(root: schema) { pattern, text in
            (try? NSRegularExpression(pattern: pattern))?.firstMatch(in: text, range: NSRange(text.startIndex..., in: text)) != nil
        }
        var (dice, ended) = (Dice(UInt64(text.utf8.count)), 0)
        for _ in 0..<150 {
            guard let made = try randomText(guide, &dice) else { continue }
            ended += 1
            let shown = String(decoding: made, as: UTF8.self)
            guard let document = try? JSONValue(parsing: made) else {
                Issue.record("no JSON: \(shown)")
                continue
            }
            #expect(checker.isValid(document, schema), "\(shown)")
        }
        #expect(ended >= 50, "\(ended) of 150 ended")
    }

    /// Documents that a schema's grammar takes, and documents that it does not.
    @Test(arguments: [
        (#"{"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}, "required": ["b"]}"#,
            [#"{"b":""}"#, #"{"a":1,"b":"x"}"#, "{\n  \"a\": 1,\n  \"b\": \"é\\u00e9\"\n}", #"{ "b": "x" }"#],
            [#"{"a":1}"#, #"{"b":"x","a":1}"#, #"{"b":"x","c":1}"#, #"{"b":"x"} "#, #"{"b":"x",}"#, #"{"b" :"x"}"#, "{\"b\":\"\n\"}", #"{"b":"\ud800"}"#]),
        (#"{"type": "integer", "minimum": -3, "maximum": 25}"#, ["-3", "-0", "0", "9", "25"], ["-4", "26", "007", "1.0", "+1", "1e1", ""]),
        (#"{"type": "number", "minimum": 0.25}"#, ["0.25", "0.250", "1", "7.5", "100000"], ["0", "0.2499", "-1", "1.", ".5"]),
        (#"{"type": "number", "exclusiveMaximum": 100}"#, ["99.999", "0", "-500", "-0.5"], ["100", "100.0", "100.1", "1000"]),
        (#"{"type": "number"}"#, ["0", "-1.5e-10", "1E5", "12345678901234567890"], ["01", "1e100", "123456789012345678901", "--1", "1.e3"]),
        (#"{"type": "string", "format": "date"}"#, [#""2024-02-29""#, #""1999-12-31""#], [#""2023-02-29""#, #""2024-13-01""#, #""2024-04-31""#, #""1900-02-29""#]),
        (#"{"type": "string", "format": "uuid"}"#, [#""123e4567-e89b-12d3-a456-426614174000""#], [#""123e4567e89b12d3a456426614174000""#]),
        (#"{"type": "string", "format": "ipv4"}"#, [#""192.168.0.255""#], [#""192.168.0.256""#, #""1.2.3""#]),
        (#"{"type": "string", "format": "date-time"}"#, [#""2024-01-31T23:59:00Z""#, #""2024-01-31T00:00:00.5+02:00""#], [#""2024-01-31""#, #""2024-01-31T24:00:00Z""#]),
        (#"{"type": "string", "format": "email"}"#, [#""a.b@example.com""#], [#""a@b""#, #""@x.com""#]),
        (#"{"type": "string", "format": "uri"}"#, [#""https://example.com/a?b=c#d""#, #""mailto:a@b.c""#], [#""example.com""#, #""http:// x""#]),
        (#"{"type": "string", "maxLength": 2}"#, [#""""#, #""日本""#, #""\ud83d\ude00a""#, #""\n\"""#], [#""abc""#, #""日本語""#]),
        (#"{"type": "array", "items": {"type": "null"}, "maxItems": 2}"#, ["[]", "[null]", "[null,null]", "[\n\tnull,\n\tnull\n]"], ["[null,null,null]", "[,]"]),
        ("false", [], ["null"]),
    ] as [(String, [String], [String])])
    func grammarsTakeWhatTheyShould(_ text: String, _ right: [String], _ wrong: [String]) throws {
        guard text != "false" else {
            #expect(throws: GuideError.self) { try Guide.schema(false).compiled() }
            return
        }
        let grammar = try Guide.schema(JSONValue(parsing: text)).compiled()
        for document in right { #expect(grammar.matches(document.utf8), "\(document)") }
        for document in wrong { #expect(!grammar.matches(document.utf8), "\(document)") }
    }

    @Test(arguments: [
        (#"{"type": "array", "uniqueItems": true}"#, "the keyword uniqueItems is only supported"), (#"{"nullable": true}"#, "#: the keyword nullable is not supported"),
        (##"{"properties": {"a/b": {"not": {"minLength": 1}}}}"##, "#/properties/a~1b: the keyword not is only supported"),
        (#"{"if": {"items": {}}, "then": {}}"#, "the keyword if is only supported"), (#"{"then": {}}"#, "then without if"), (#"{"dependencies": {}}"#, "the keyword dependencies"),
        (#"{"minProperties": 2, "additionalProperties": true}"#, "minProperties 2 is not supported beside names that are free"), (#"{"contains": {}, "minContains": 2}"#, "the keyword minContains"),
        (#"{"patternProperties": {"(": {}}}"#, "patternProperties: a group is not closed"), (##"{"$ref": "#/$defs/a", "$defs": {"a": {"$id": "x"}}}"##, "$ref is not supported in a schema with $id inside"),
        (#"{"patternProperties": {"a": {}, "b": {}, "c": {}, "d": {}, "e": {}}}"#, "more than 4 patterns"), (#"{"type": "string", "pattern": "a(?=b)"}"#, "behind the ^"),
        (#"{"type": "array", "uniqueItems": true, "items": {"enum": [1, 2, 3, 4, 5, 6, 7, 8, 9]}}"#, "at most 8 values"),
        (#"{"type": "string", "format": "color"}"#, "the format color is not supported: only date, "),
        (#"{"type": "text"}"#, "type \"text\" is none of"), (#"{"$ref": "other.json"}"#, "$ref other.json is not supported"),
        (##"{"$ref": "#/$defs/x"}"##, "leads nowhere"), (#"{"type": "string", "pattern": "(?=a)"}"#, "pattern: groups that look ahead are only supported behind the ^"),
        (#"{"type": "string", "pattern": "a\\b"}"#, "\\b is not supported"), (#"{"type": "string", "maxLength": 1000000}"#, "too long for a guide"),
        (#"{"oneOf": [{"type": "integer"}, {"type": "number"}]}"#, "oneOf is not supported where a value may be right for several branches"),
        (##"{"anyOf": [{"$ref": "#"}, {"type": "null"}]}"##, "refers to itself"), (#"{"type": "integer", "minimum": 5, "maximum": 4}"#, "no text can match"),
        (#"{"type": "string", "minLength": 5, "maxLength": 4}"#, "no text can match"), (#"{"allOf": [{"type": "null"}, {"type": "string"}]}"#, "no text can match"),
        (#"{"multipleOf": 0}"#, "multipleOf must be above 0"), (#"{"minimum": 1e30}"#, "minimum must be a number of at most 20 digits"),
        (##"{"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}"##, "no text can match"), ("3", "a schema is an object or a boolean"),
        (#"{"minItems": -1}"#, "minItems must be a whole number"), (#"{"required": [3]}"#, "required must be a list of names"),
        (#"{"type": "array", "minItems": 100000}"#, "too long for a guide"), (#"{"minLength": 9223372036854775807}"#, "too long for a guide"),
        (#"{"type": "array", "minItems": 9223372036854775807, "maxItems": 9223372036854775807}"#, "too long for a guide"),
    ])
    func whatIsNotSupportedIsNamed(_ text: String, _ message: String) throws {
        let schema = try JSONValue(parsing: text)
        do {
            _ = try Guide.schema(schema).compiled()
            Issue.record("compiles")
        } catch {
            #expect("\(error)".contains(message), "\(error)")
        }
    }

    /// What would take long to compile is refused, and soon.
    @Test func whatIsTooLargeIsRefused() throws {
        func values(_ count: Int, _ prefix: String = "x") -> JSONValue { .array((0..<count).map { .string("\(prefix)\($0)") }) }
        func members(_ count: Int) -> JSONValue { .object(JSONObject((0..<count).map { ("member\($0)", true) })) }
        let chain = (0..<5000).map { ("d\($0)", JSONValue.object(["$ref": .string("#/$defs/d\($0 + 1)")])) } + [("d5000", true)]
        let nest = (0..<5000).map { ("d\($0)", JSONValue.object(["oneOf": [["$ref": .string("#/$defs/d\($0 + 1)")], ["const": .int($0)]]])) } + [("d5000", ["const": "x"])]
        let schemas: [JSONValue] = [
            ["$ref": "#/$defs/d0", "$defs": .object(JSONObject(nest))], ["enum": values(5000)], ["allOf": .array((0..<60).map { _ in ["enum": values(4000)] })], ["required": values(5000)], ["properties": members(5000)],
            ["properties": members(4000)], ["oneOf": .array((0..<2000).map { ["const": .int($0)] })], ["anyOf": .array((0..<200).map { ["const": .int($0)] })],
            ["allOf": .array((0..<12).map { _ in ["anyOf": [true, ["minimum": 1]]] })], ["type": "string", "pattern": "^(a|b)*a(a|b){20}$"],
            ["$ref": "#/$defs/d0", "$defs": .object(JSONObject(chain)), "oneOf": [["$ref": "#/$defs/d0"], true]],
        ]
        for schema in schemas {
            let took = threadTime { #expect(throws: GuideError.self, "\(schema.serializedText.prefix(80))") { try Guide.schema(schema).compiled() } }
            #expect(took < .seconds(6), "\(schema.serializedText.prefix(80)) takes \(took)")
        }
    }

    @Test func aMemberIsNotNamedTwiceByOthers() throws {
        let grammar = try Guide.schema(JSONValue(parsing: #"{"properties": {"a": {"type": "null"}}, "additionalProperties": {"type": "integer"}}"#)).compiled()
        #expect(grammar.matches(#"{"a":null,"b":1}"#.utf8) && grammar.matches(#"{"aa":1}"#.utf8) && grammar.matches(#"{"":1}"#.utf8))
        #expect(!grammar.matches(#"{"a":1}"#.utf8) && !grammar.matches(#"{"\u0061":1}"#.utf8) && !grammar.matches(#"{"b":1,"a":null}"#.utf8))
    }
}
