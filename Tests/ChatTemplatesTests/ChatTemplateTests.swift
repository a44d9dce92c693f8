import ChatTemplates
import Foundation
import JSON
import Seeded
import Testing

/// Renderings next to those of HuggingFace's chat template environment.
@Suite struct ChatTemplateTests {
    /// What `strftime_now` showed when the fixtures were made.
    private static let now = 1_760_011_200

    private func check(_ source: String, _ context: JSONObject, _ row: JSONValue, _ label: String) {
        do throws(ChatTemplateError) {
            let text = try ChatTemplate(source: source).render(context, now: Self.now)
            if let expected = row["text"]?.stringValue {
                #expect(text.isExactly(expected), "\(label)")
            } else {
                Issue.record("\(label) should fail with \(row["error"]?.stringValue ?? "an error") but gives \(text)")
            }
        } catch {
            #expect(row["text"] == nil, "\(label): \(error)")
            if row["error"] == "TemplateError" { #expect(error.reason == .raised, "\(label)") }
            if row["error"] == "TemplateSyntaxError" { #expect(error.reason == .syntax, "\(label)") }
        }
    }

    @Test func modelTemplates() throws {
        let contexts = try TemplateFixture.json("contexts.json")
        let rows = try #require(try TemplateFixture.json("renderings.json").arrayValue)
        #expect(rows.count > 600)
        var sources: [String: String] = [:]
        for row in rows {
            let name = try #require(row["template"]?.stringValue)
            let context = try #require(row["context"]?.stringValue)
            let source = try sources[name] ?? TemplateFixture.text("templates/\(name)")
            sources[name] = source
            check(source, try #require(contexts[context]?.objectValue), row, "\(name) \(context)")
        }
    }

    @Test func snippets() throws {
        let values = try #require(try TemplateFixture.json("values.json").objectValue)
        for row in try #require(try TemplateFixture.json("snippets.json").arrayValue) {
            let source = try #require(row["template"]?.stringValue)
            check(source, values, row, source)
        }
    }

    @Test func whiteSpaceControl() throws {
        let values: JSONValue = ["i": 7, "t": true]
        for row in try #require(try TemplateFixture.json("whitespace.json").arrayValue) {
            let source = try #require(row["template"]?.stringValue)
            check(source, try #require(values.objectValue), row, source.debugDescription)
        }
    }

    private func error(_ source: String, _ context: JSONObject = JSONObject()) -> ChatTemplateError? {
        do throws(ChatTemplateError) {
            _ = try ChatTemplate(source: source).render(context)
            return nil
        } catch {
            return error
        }
    }

    @Test func errorsNameTheLine() {
        let nested = JSONValue(dictionaryLiteral: ("d", ["x": 1])).objectValue ?? JSONObject()
        #expect(error("a\nb\n{{ nope.x }}")?.line == 3)
        #expect(error("a\nb\n{{ nope.x }}")?.description == "chat template failed at line 3: 'nope' is undefined")
        #expect(error("{{ d.a.b }}", nested)?.message == "dict object has no attribute 'a'")
        #expect(error("{{ d['a']['b'] }}", nested)?.message == "dict object has no element 'a'")
        #expect(error("{{ ([]|first).x }}")?.message == "the first item of an empty sequence is undefined")
        #expect(error("{% if x %}\n{{ 1 +\n }}{% endif %}")?.line == 3)
        for (source, place) in [("{% for", "line 1, column 7"), ("é\n é {{ a b }}", "line 2, column 9"), ("a\r\n{{ 'b' ! }}", "line 2, column 8"), ("{{ nope.x }}", "line 1")] {
            #expect(error(source)?.place == place, "\(source)")
        }
        #expect(error("{% include 'x' %}")?.reason == .syntax)
        #expect(error("\n\n{{ raise_exception('Roles must alternate') }}")?.description == "Roles must alternate")
        #expect(error("\n{{ 'x' | frobnicate }}")?.description == "chat template failed at line 2: there is no filter 'frobnicate'")
    }

    @Test func numbersBeyond64BitsAreNotCalculatedWith() throws {
        let context: JSONValue = ["w": try JSONValue(parsing: "18446744073709551615")]
        let values = try #require(context.objectValue)
        for expression in [
            "w + 1", "1 - w", "w * 'a'", "w // 2", "-w", "w | abs", "w | round", "range(w) | list", "'%d' % w", "'{:>30}'.format(w)",
            "[1][:w]", "1e19 | int", "'99999999999999999999' | int", "'-9223372036854775809' | int", "'1e30' | int", "1e19 | int(5)",
        ] {
            let found = error("{{ \(expression) }}", values)
            #expect(found?.reason == .limit, "\(expression)")
            #expect(found?.message == "a whole number grows beyond 64 bits", "\(expression)")
        }
    }

    @Test func hostileTemplatesStop() {
        let deep = String(repeating: "(", count: 5000) + "1" + String(repeating: ")", count: 5000)
        #expect(error("{{ \(deep) }}")?.reason == .syntax)
        #expect(error("{{ \(String(repeating: "-", count: 5000))1 }}")?.reason == .syntax)
        #expect(error("{{ x\(String(repeating: ".a", count: 5000)) }}")?.reason == .syntax)
        #expect(error(String(repeating: "{% if 1 %}", count: 5000))?.reason == .syntax)
        #expect(error("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}")?.reason == .limit)
        #expect(error("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}")?.reason == .limit)
        #expect(error("{% set ns = namespace(x='ab') %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}")?.reason == .limit)
        #expect(error("{{ 'x' * 10 ** 18 }}")?.reason == .limit)
        #expect(error("{{ 10 ** 30 }}")?.reason == .limit)
        #expect(error("{% set ns = namespace(x=[]) %}{% for i in range(9999) %}{% set ns.x = [ns.x] %}{% endfor %}")?.reason == .limit)
        #expect(error("{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}")?.reason == .limit)
        #expect(error("{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}")?.reason == .limit)
        #expect(error("{% set ns = namespace(x=0) %}{% for i in range(9999) %}{% set ns.x = namespace(x=ns.x) %}{% endfor %}") == nil)
        #expect(error("{{ \(Array(repeating: "1", count: 20_000).joined(separator: " + ")) }}") == nil)
    }

    /// Threads of a server have small stacks; the limits must hold there too.
    @Test func limitsHoldOnSmallStacks() async {
        let sources = [
            "{% macro m(x) %}{% if x %}{% for y in [x] %}{{ 'a' ~ (m([y]) | trim) }}{% endfor %}{% endif %}{% endmacro %}{{ m(1) }}",
            "{{ \(String(repeating: "(", count: 60))1\(String(repeating: ")", count: 60)) }}",
            "{% for x in l recursive %}{{ loop(l) }}{% endfor %}",
        ]
        let context: JSONValue = ["l": [1]]
        let reasons = await withCheckedContinuation { (done: CheckedContinuation<[ChatTemplateError.Reason?], Never>) in
            let thread = Thread {
                done.resume(returning: sources.map { self.error($0, context.objectValue ?? JSONObject())?.reason })
            }
            thread.stackSize = 1 << 19
            thread.start()
        }
        #expect(reasons == [.limit, nil, .limit])
    }

    @Test func damagedTemplatesNeverTrap() throws {
        var generator = Dice(2)
        let values = try #require(try TemplateFixture.json("values.json").objectValue)
        let snippets = try TemplateFixture.text("snippets.txt")
        let source = Array((snippets + (try TemplateFixture.text("templates/qwen3-5.jinja"))).utf8)
        for _ in 0..<3000 {
            let start = Int.random(in: 0..<source.count, using: &generator)
            var bytes = Array(source[start..<min(source.count, start + Int.random(in: 1...200, using: &generator))])
            for _ in 0..<Int.random(in: 0...3, using: &generator) {
                let position = Int.random(in: 0..<bytes.count, using: &generator)
                bytes[position] = Bool.random(using: &generator)
                    ? source[Int.random(in: 0..<source.count, using: &generator)] : UInt8.random(in: 0...255, using: &generator)
            }
            _ = error(String(decoding: bytes, as: UTF8.self), values)
        }
    }
}
