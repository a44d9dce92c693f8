import GuidedDecoding
import JSON

/// Guides as requests have them.
enum Guides {
    static let all: [(name: String, guide: Guide)] = [
        ("json_object", .object),
        ("a person", schema(#"{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":0,"maximum":150},"mail":{"type":"string","format":"email"}},"required":["name","age"]}"#)),
        ("an invoice, nested", schema(##"{"$defs":{"Line":{"type":"object","properties":{"text":{"type":"string","maxLength":200},"count":{"type":"integer"},"price":{"type":"number"}},"required":["text","count","price"]}},"type":"object","properties":{"number":{"type":"string","pattern":"^[A-Z]{2}-\\d{6}$"},"date":{"type":"string","format":"date"},"lines":{"type":"array","items":{"$ref":"#/$defs/Line"},"maxItems":20},"total":{"type":"number"},"note":{"anyOf":[{"type":"string"},{"type":"null"}]}},"required":["number","date","lines","total"]}"##)),
        ("a caption of 280 characters", schema(#"{"type":"object","properties":{"caption":{"type":"string","minLength":1,"maxLength":280},"tags":{"type":"array","items":{"type":"string","maxLength":30},"maxItems":8}},"required":["caption","tags"]}"#)),
        ("a URL of 2083 characters", schema(#"{"type":"object","properties":{"url":{"type":"string","format":"uri","minLength":1,"maxLength":2083}},"required":["url"]}"#)),
        ("boxes", schema(#"{"type":"array","items":{"type":"object","properties":{"label":{"type":"string","pattern":"^\\w{1,40}$"},"bbox_2d":{"type":"array","items":{"type":"integer"},"minItems":4,"maxItems":4}},"required":["label","bbox_2d"],"additionalProperties":false}}"#)),
        ("an enumeration", schema(#"{"enum":["positive","negative","neutral","mixed","unclear"]}"#)),
        ("a map of names", schema(#"{"type":"object","propertyNames":{"pattern":"^[a-z][a-z0-9_]{0,30}$"},"additionalProperties":{"type":"number"}}"#)),
        (#"\w{1,40}"#, .regex(#"\w{1,40}"#)),
        (#"\w{3,40}@\w{2,30}\.\w{2,6}"#, .regex(#"\w{3,40}@\w{2,30}\.\w{2,6}"#)),
        (#"(\w{1,40} ){1,20}\w{1,40}\."#, .regex(#"(\w{1,40} ){1,20}\w{1,40}\."#)),
        (#"[\s\S]{0,200}"#, .regex(#"[\s\S]{0,200}"#)),
        (#".{1,100}"#, .regex(".{1,100}")),
        (#"Title: .{1,80}\nSummary: [\s\S]{1,400}"#, .regex(#"Title: .{1,80}\nSummary: [\s\S]{1,400}"#)),
        (#"\S{1,30}( \S{1,30}){0,30}"#, .regex(#"\S{1,30}( \S{1,30}){0,30}"#)),
        (#"[A-Za-z0-9+/]{20,200}={0,2}"#, .regex(#"[A-Za-z0-9+/]{20,200}={0,2}"#)),
        ("[а-яё]{1,20}( [а-яё]{1,20}){0,12}", .regex("[а-яё]{1,20}( [а-яё]{1,20}){0,12}")),
        ("[一-龥，。]{10,120}", .regex("[一-龥，。]{10,120}")),
        (#"[^"\n]{0,120}"#, .regex("[^\"\\n]{0,120}")),
        (#"(yes|no), because [^.]{10,150}\."#, .regex(#"(yes|no), because [^.]{10,150}\."#)),
        ("a grammar around a text", .grammar("root ::= \"<answer>\" [^<]{1,300} \"</answer>\"")),
    ]

    private static func schema(_ text: String) -> Guide { .schema((try? JSONValue(parsing: text)) ?? .null) }
}
