import Budgets
import ChatTemplates
import JSON
import Testing

/// Templates that ask for more work or memory than a rendering may take.
@Suite struct ChatTemplateLimitTests {
    private func error(_ source: String, budget: WorkBudget? = nil) -> ChatTemplateError? {
        do throws(ChatTemplateError) {
            _ = try ChatTemplate(source: source).render(JSONObject(), budget: budget)
            return nil
        } catch {
            return error
        }
    }

    /// The template's own limits end it before three seconds of processor time are over.
    private func expectLimit(_ source: String) {
        let error = error(source, budget: WorkBudget(cpuLimit: .seconds(3)))
        #expect(error?.reason == .limit && error?.message.contains("processor time") == false, "\(source): \(error?.message ?? "")")
    }

    @Test(arguments: [
        "{{ a.x == b.x }}", "{{ a.x != b.x }}", "{{ a.x < b.x }}", "{{ a.x <= b.x }}", "{{ a.x in [b.x] }}", "{{ [b.x].index(a.x) }}",
        "{{ [b.x].count(a.x) }}", "{{ [a.x, b.x] | sort }}", "{{ [a.x, b.x] | min }}", "{{ [[a.x], [b.x]] | groupby(0) }}",
        "{{ [a.x] | unique | list }}", "{{ {a.x: 1} }}", "{{ {}.get(a.x) }}", "{{ {}[a.x] }}", "{{ a.x in {} }}", "{{ a.x | pprint }}",
        "{{ a.x | string }}", "{{ a.x | tojson }}", "{{ a.x is eq b.x }}", "{{ a.x is sameas b.x }}", "{{ '%r' % [a.x] }}",
        "{{ {'k': a.x}.values() | list == [b.x] }}", "{{ {'k': a.x}.items() == {'k': b.x}.items() }}",
        "{% for i in [1, 2] %}{{ loop.changed(a.x if i == 1 else b.x) }}{% endfor %}",
    ])
    func sharedPartsCostWhatTheyHold(use: String) {
        expectLimit(
            "{% set a = namespace(x=(1,)) %}{% set b = namespace(x=(1,)) %}"
                + "{% for i in range(250) %}{% set a.x = (a.x, a.x) %}{% set b.x = (b.x, b.x) %}{% endfor %}" + use)
    }

    @Test(arguments: [
        "{{ t.replace('', t) }}", "{{ t | replace('', t) }}", "{{ t.replace('a', t) }}", "{{ t * 9999 }}", "{{ t.join(t) }}",
        "{{ range(9999) | join(t) }}", "{{ 'a'.center(10 ** 9) }}", "{{ 'a'.ljust(10 ** 9) }}", "{{ ('\n' * 9999) | indent(t, blank=true) }}",
        "{{ t | wordwrap(1, wrapstring=t) }}", "{{ ('{:9999}' * 9999).format(*range(9999)) }}", "{{ ('%(k)9999d' * 9999) % {'k': 1} }}",
        "{{ [[[[1]]]] | tojson(indent=t * 100) }}", "{{ ('\t' * 99999).expandtabs(1000) }}", "{{ 'a\nb' | indent(10 ** 9) }}", "{{ 'a' | indent(10 ** 9, true) }}",
        "{{ [1] | tojson(indent=10 ** 9) }}", "{{ (t * 100) ~ (t * 100) }}",
    ])
    func sizesAreKnownBeforehand(use: String) {
        expectLimit("{% set t = 'a' * 100000 %}" + use)
    }

    @Test(arguments: [
        "t.find(p)", "t.rfind(p)", "p in t", "t.count(p)", "t.split(p)", "t.rsplit(p)", "t.replace(p, '')", "t.partition(p)",
        "t.rpartition(p)", "t == u", "t < u", "t.strip('a')", "t | trim('a')", "t[5]", "t.startswith(u)",
    ])
    func longTextsCostTheirLength(use: String) {
        expectLimit(
            "{% set t = 'a' * 8000000 %}{% set u = 'a' * 7999999 ~ 'b' %}{% set p = 'a' * 100000 ~ 'b' ~ 'a' * 100000 %}"
                + "{% for i in range(9999) %}{% set x = \(use) %}{% endfor %}")
    }

    /// Below the limits, widths are those of the template.
    @Test func marginsAreAsWideAsAsked() throws {
        let text = try ChatTemplate(source: "{{ 'a\nb' | indent(20000) }}{{ [1] | tojson(indent=2000) }}{{ 'a\nb' | indent(-3) }}").render(JSONObject())
        #expect(text == "a\n" + String(repeating: " ", count: 20_000) + "b[\n" + String(repeating: " ", count: 2000) + "1\n]a\nb")
    }

    /// Whatever a template raises, and whatever a message quotes.
    @Test(arguments: ["{{ raise_exception('é' * 100000) }}", "{% set x = namespace(a=1) %}{{ x.a['b' * 100000].c }}"])
    func messagesAreCut(_ source: String) throws {
        let message = try #require(error(source)?.message)
        #expect(message.unicodeScalars.count <= 540, "\(message.count)")
        if source.contains("raise") { #expect(message == String(repeating: "é", count: 500) + "… (200000 bytes)") }
    }

    @Test func searchesFindWhatPythonFinds() throws {
        let source = "{{ ['aXbXc'.rfind('X'), 'abc'.rfind(''), 'aaaa'.count('aa'), 'aXbXc'.rpartition('X'), 'aXbXc'.partition('X'), "
            + "'é€'.rfind('€'), [1, 2, 1].index(1, 1), 'ab'.replace('', '-'), 'abab'.replace('b', 'cc', 1)] }}"
        let text = try ChatTemplate(source: source).render(JSONObject())
        #expect(text == "[3, 3, 2, ('aXb', 'X', 'c'), ('a', 'X', 'bXc'), 1, 2, '-a-b-', 'accab']")
    }

    @Test func budgetEndsARendering() {
        let budget = WorkBudget(cpuLimit: .seconds(60))
        let loop = "{% for a in range(9999) %}{% for b in range(99) %}{% endfor %}{% endfor %}"
        budget.cancel()
        #expect(error(loop, budget: budget)?.reason == .limit)
        #expect(error(loop, budget: budget)?.message == "the request was cancelled")
        #expect(error("{{ 1 }}", budget: .generous()) == nil)
    }
}
