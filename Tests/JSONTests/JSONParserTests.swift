import JSON
import Testing

@Suite struct JSONParserTests {
    private func parse(_ text: String) throws -> JSONValue { try JSONValue(parsing: Array(text.utf8), dialect: .python) }

    @Test func reads() throws {
        #expect(try parse(#" {"a": [1, -2.5e3, true, null], "b": "\u00e9\n\ud83d\ude00\ud800"} "#) == ["a": [1, -2500.0, true, nil], "b": "é\n😀\u{FFFD}"])
        #expect(try parse("99999999999999999999") == .wide("99999999999999999999"))
        #expect(try parse("[Infinity, -Infinity]") == [.double(.infinity), .double(-.infinity)])
        #expect(try parse(#"{"a": 1, "a": 2}"#) == ["a": 2])
        #expect(try parse(parse(#"{"z":"\u0001\"\\é","a":[{}]}"#).canonicalText) == ["z": "\u{1}\"\\é", "a": [[:] as JSONValue]])
    }

    @Test(arguments: ["", "{", "[1,]", "{\"a\"}", "{\"a\":}", "01", "1.", "1e", "-", "+1", "nul", "\"\\x\"", "\"\\u12\"", "\"a", "1 2", "{1:2}", "\"\n\"", "[1 2]", "\u{1}"])
    func refuses(text: String) {
        #expect(throws: JSONError.self) { try parse(text) }
    }

    @Test func refusesAKeyThatOccursTwiceWhereAsked() throws {
        let bytes = Array(#"{"a": {"b": 1, "b": 1}}"#.utf8)
        #expect(throws: JSONError(line: 1, column: 16, message: #"the key "b" occurs twice"#)) {
            try JSONValue(parsing: bytes, duplicateKeys: .reject)
        }
        #expect(try JSONValue(parsing: bytes) == ["a": ["b": 1]])
    }

    @Test func equalDocumentsHaveOneCanonicalText() throws {
        #expect(try parse(#"{"b": [{"d": 1, "c": 2}], "a": null}"#).canonicalText == #"{"a":null,"b":[{"c":2,"d":1}]}"#)
    }

    @Test func refusesBytesThatAreNotUTF8() {
        #expect(throws: JSONError.self) { try JSONValue(parsing: [0x22, 0xFF, 0x22]) }
    }
}
