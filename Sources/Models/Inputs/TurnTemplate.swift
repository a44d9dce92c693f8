/// A chat template of a family whose directories bring none: what its own code puts around turns and images.
struct TurnTemplate {
    /// What stands before everything.
    var start = ""
    /// What opens a system message, and what it says where the messages have none; nil for no message.
    var system: (opening: String, standard: String?)
    /// What opens a turn.
    var user: String
    var assistant: String
    /// What opens the answer that is asked for; nil for what opens the assistant's turns.
    var answer: String?
    /// What closes a message of each kind.
    var systemEnding: String
    var userEnding: String
    var assistantEnding: String
    /// What stands for an image; `{image}` is its number from 1, `{place}` the path or URL that the message gives.
    var image: String
    /// What stands for one of several.
    var oneOfSeveral: String?

    /// The template in Jinja.
    var source: String {
        let isImage = "part.type == 'image'"
        let counting = "{% if \(isImage) %}{% set ns.total = ns.total + 1 %}{% endif %}"
        let several = oneOfSeveral.map { "{% if ns.total > 1 %}\(written($0)){% else %}\(written(image)){% endif %}" }
        let parts =
            "{% if \(isImage) %}{% set ns.index = ns.index + 1 %}\(several ?? written(image)){% elif part.type == 'text' %}"
            + "{{ part.text }}{% endif %}"
        let body =
            "{% if message.content is string %}{{ message.content }}{% else %}"
            + "{% for part in message.content %}\(parts){% endfor %}{% endif %}"
        let kinds = [("system", system.opening, systemEnding), ("user", user, userEnding), ("assistant", assistant, assistantEnding)]
        let turns = kinds.map { "if message.role == '\($0.0)' %}\(written($0.1))\(body)\(written($0.2)){% " }
        let standard = system.standard.map {
            "{% if messages[0].role != 'system' %}\(written(system.opening + $0 + systemEnding)){% endif %}"
        }
        return "{% set ns = namespace(total=0, index=0) %}{% for message in messages %}{% if message.content is not string %}"
            + "{% for part in message.content %}\(counting){% endfor %}{% endif %}{% endfor %}" + written(start) + (standard ?? "")
            + "{% for message in messages %}{% " + turns.joined(separator: "el")
            + "else %}{{ raise_exception('the role ' ~ message.role ~ ' is not known to this model') }}{% endif %}{% endfor %}"
            + "{% if add_generation_prompt %}\(written(answer ?? assistant)){% endif %}"
    }

    /// An expression that prints a text.
    private func written(_ text: String) -> String {
        guard !text.isEmpty else { return "" }
        let places = text.split(separator: "{place}", omittingEmptySubsequences: false).map { text in
            text.split(separator: "{image}", omittingEmptySubsequences: false).map { "\"" + Self.escaped($0) + "\"" }
                .joined(separator: " ~ ns.index ~ ")
        }
        let place = "(part.image or part.path or part.url or '')"
        let shown = "(\(place) if \(place) is string and not \(place).startswith('data:') else '')"
        return "{{ " + places.joined(separator: " ~ \(shown) ~ ") + " }}"
    }

    private static func escaped(_ text: Substring) -> String {
        String(text).replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }
}
