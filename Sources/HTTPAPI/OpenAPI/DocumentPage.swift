internal import JSON

/// The page at `/docs`: the OpenAPI document as people read it, in one document without scripts.
enum DocumentPage {
    /// A page of the document.
    static func page(of document: JSONValue) -> StaticPage {
        let style = "\n" + String(decoding: PackageResources.docs_css, as: UTF8.self)
        var text = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n"
        text += "<title>vlm-serve \(escaped(document["info"]?["version"]))</title>\n<style>\(style)</style>\n"
        text += "<h1>vlm-serve \(escaped(document["info"]?["version"]))</h1>\n<p>\(escaped(document["info"]?["description"])) "
        text += "The same for programs: <a href=\"openapi.json\">openapi.json</a>.</p>\n"
        for (path, methods) in members(document["paths"]) {
            for (method, operation) in members(methods) where method != "parameters" { text += section(path, method, operation) }
        }
        text += "<h1>Schemas</h1>\n"
        for (name, schema) in members(document["components"]?["schemas"]) {
            text += "<section id=\"\(escaped(name))\"><h2>\(escaped(name))</h2>\n" + fields(of: schema) + "</section>\n"
        }
        return StaticPage(text + "</html>\n", style: style, script: nil)
    }

    private static func section(_ path: String, _ method: String, _ operation: JSONValue) -> String {
        var text = "<section><h2><code>\(escaped(method.uppercased())) \(escaped(path))</code></h2>\n<p>\(escaped(operation["summary"]))"
        if operation["security"] != nil { text += " Needs a key." }
        text += "</p>\n<p>"
        if let body = operation["requestBody"]?["content"]?["application/json"]?["schema"] { text += "Takes \(kind(of: body)). " }
        let answers = members(operation["responses"]).map { status, answer in
            let forms = members(answer["content"]).map { type, content in content["schema"]?["$ref"] == nil ? escaped(type) : kind(of: content["schema"] ?? .null) }
            return "\(escaped(status)): \(forms.joined(separator: " or "))"
        }
        return text + "Answers " + answers.joined(separator: "; ") + ".</p></section>\n"
    }

    /// The members of an object, a line each, or of several of which it is one; the kind of anything else.
    private static func fields(of schema: JSONValue) -> String {
        if let branches = schema["anyOf"]?.arrayValue, branches.contains(where: { $0["properties"] != nil }) {
            return branches.map(fields).joined(separator: "<p>or</p>\n")
        }
        let properties = members(schema["properties"])
        guard !properties.isEmpty else { return "<p>\(kind(of: schema))</p>\n" }
        let required = (schema["required"]?.arrayValue ?? []).compactMap(\.stringValue)
        let rows = properties.map { name, schema in
            let mark = required.contains(name) ? " <b>required</b>" : ""
            return "<tr><td><code>\(escaped(name))</code>\(mark)<td>\(kind(of: schema))<td>\(escaped(schema["description"]))\n"
        }
        return "<table>\n" + rows.joined() + "</table>\n"
    }

    /// A few words for what a schema allows.
    private static func kind(of schema: JSONValue) -> String {
        if let reference = schema["$ref"]?.stringValue?.split(separator: "/").last { return "<a href=\"#\(escaped(String(reference)))\">\(escaped(String(reference)))</a>" }
        if let constant = schema["const"] { return escaped(constant.serializedText) }
        if let values = schema["enum"]?.arrayValue { return values.map { escaped($0.serializedText) }.joined(separator: " or ") }
        if let branches = schema["anyOf"]?.arrayValue { return branches.map(kind).joined(separator: " or ") }
        let types = schema["type"].map { $0.arrayValue ?? [$0] }?.compactMap(\.stringValue) ?? ["anything"]
        let bounds = [("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤")].compactMap { key, sign in schema[key].map { "\(sign) \($0.serializedText)" } }
        let items = schema["items"].map { " of \(kind(of: $0))" } ?? ""
        return types.joined(separator: " or ") + items + (bounds.isEmpty ? "" : " " + bounds.joined(separator: ", "))
    }

    private static func members(_ value: JSONValue?) -> [(String, JSONValue)] {
        guard let object = value?.objectValue else { return [] }
        return Array(zip(object.keys, object.values))
    }

    private static func escaped(_ value: JSONValue?) -> String { escaped(value?.stringValue ?? "") }

    private static func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;").replacing("\"", with: "&quot;")
    }
}
