import JSON
import Seeded
import Testing

@Suite struct JSONTests {
    private func error(_ text: String) -> JSONError? {
        do throws(JSONError) {
            _ = try JSONValue(parsing: text)
            return nil
        } catch {
            return error
        }
    }

    /// What Python's `json` writes and reads, and nobody else does.
    @Test func pythonsDialectIsReadWhereAskedFor() throws {
        let text = #"{"a": [NaN, Infinity, -Infinity, 1e999, -1], "b": "\ud800x\ud83d\ude00\ud800"}"#
        #expect(throws: JSONError.self) { try JSONValue(parsing: Array(text.utf8)) }
        let value = try JSONValue(parsing: Array(text.utf8), dialect: .python)
        #expect(value["a"]?[0]?.doubleValue?.isNaN == true)
        #expect((1..<4).map { value["a"]?[$0]?.doubleValue } == [.infinity, -.infinity, .infinity])
        #expect(value["a"]?[4] == -1)
        #expect(value["b"]?.stringValue == "\u{FFFD}x😀\u{FFFD}")
        for text in ["NaNa", "Infinite", "-Inf", "Na"] {
            #expect(throws: JSONError.self) { try JSONValue(parsing: Array(text.utf8), dialect: .python) }
        }
    }

    @Test func readsAndWrites() throws {
        let text = #"{"b":1,"a":[true,null,-0.5,1e2,"é\n\"\\\u0001"],"c":{},"d":[],"e":-9223372036854775808}"#
        let value = try JSONValue(parsing: " \u{FEFF}\(text)\n".replacing("\u{FEFF}", with: ""))
        #expect(value.serializedText == text.replacing("1e2", with: "100.0"))
        #expect(value.objectValue?.keys == ["b", "a", "c", "d", "e"])
        #expect(value["a"]?[1] == JSONValue.null)
        #expect(value["a"]?[3]?.intValue == 100)
        #expect(value["e"]?.intValue == .min)
        #expect(try JSONValue(parsing: value.serialized) == value)
    }

    @Test func scalarsAndEscapes() throws {
        #expect(try JSONValue(parsing: #""\ud83d\ude00\/\u00e9""#).stringValue == "😀/é")
        #expect(try JSONValue(parsing: "12345678901234567890").doubleValue == 12345678901234567168)
        for digits in ["9223372036854775808", "-9223372036854775809", "18446744073709551615", "1" + String(repeating: "0", count: 300)] {
            #expect(try JSONValue(parsing: digits).serializedText == digits)
            #expect(try JSONValue(parsing: digits).intValue == nil)
        }
        #expect(throws: JSONError.self) { try JSONValue(parsing: String(repeating: "9", count: 400)) }
        #expect(try JSONValue(parsing: "1.0") != 1)
        #expect(try JSONValue(parsing: [0xEF, 0xBB, 0xBF, 0x31]) == 1)
    }

    @Test func keysCompareByTheirBytes() throws {
        let value = try JSONValue(parsing: "{\"é\":1,\"e\u{301}\":2,\"é\":3}")
        #expect(value.objectValue?.count == 2)
        #expect(value["é"] == 3)
        #expect(value["e\u{301}"] == 2)
        var object = JSONObject()
        for index in 0..<100 { object["k\(index % 50)"] = .int(index) }
        #expect(object.count == 50)
        #expect(object["k7"] == 57)
        object["k7"] = nil
        #expect(object["k7"] == nil)
        #expect(object["k49"] == 99)
    }

    @Test(arguments: [
        ("", 1, 1), ("{", 1, 2), ("[1,]", 1, 4), ("{\"a\" 1}", 1, 6), ("[1\n 2]", 2, 2), ("nul", 1, 1), ("01", 1, 2), ("1.", 1, 3),
        ("\"\\ud800\"", 1, 8), ("\"a", 1, 3), ("\"\u{1}\"", 1, 2), ("1 2", 1, 3), ("\"\\x\"", 1, 3), ("1e999", 1, 1), ("{1:2}", 1, 2),
        ("[\"é\" x]", 1, 6), ("-", 1, 2), ("NaN", 1, 1), ("'a'", 1, 1),
    ])
    func errorsSayWhere(_ text: String, _ line: Int, _ column: Int) {
        let found = error(text)
        #expect(found?.line == line)
        #expect(found?.column == column)
    }

    @Test func nestingIsBounded() throws {
        #expect(error(String(repeating: "[", count: 10_000)) != nil)
        #expect(error(String(repeating: "{\"a\":", count: 10_000))?.message == "nested deeper than 256 levels")
        #expect(error(String(repeating: "[", count: 256) + String(repeating: "]", count: 256)) == nil)
        #expect(throws: JSONError.self) { try JSONValue(parsing: "[[[1]]]", depthLimit: 2) }
    }

    @Test func damagedDocumentsNeverTrap() throws {
        var generator = Dice(3)
        let source = Array(#"{"a":[1,-2.5e3,"x\u00e9\ud83d\ude00é",true,null],"b":{"c":[[],{}]}}"#.utf8)
        for _ in 0..<5000 {
            var bytes = source
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            if let value = try? JSONValue(parsing: bytes) { #expect(try JSONValue(parsing: value.serialized) == value) }
        }
    }
}
