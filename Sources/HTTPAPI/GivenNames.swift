internal import Inputs

/// What a request of another form calls the fields of the chat request that it became.
package struct GivenNames: Sendable {
    private var names: [String: String] = [:]

    /// Also names what lies in the field.
    mutating func set(_ field: String, _ name: String) { names[field] = name }

    /// The given name of a chat request's field or of a place in one.
    package func name(of field: String) -> String {
        var head = field[...]
        while true {
            if let name = names[String(head)] { return name + field[head.endIndex...] }
            guard let cut = head.lastIndex(where: { $0 == "." || $0 == "[" }) else { return field }
            head = field[..<cut]
        }
    }

    /// The same error in the names of the request.
    package func renamed(_ error: APIError) -> APIError {
        var error = error
        if let param = error.param {
            let name = name(of: param)
            error.param = name
            if name != param { error.text = error.text.replacing(param, with: name) }
        }
        // Fields that a message names beside: only names that are no words of English.
        let others = names.keys.filter { $0.contains("_") && !$0.contains("[") }.sorted { ($1.count, $0) < ($0.count, $1) }
        for field in others { error.text = error.text.replacing(field, with: names[field] ?? field) }
        return error
    }

    /// Does what may throw errors of the chat request.
    func renaming<Value>(_ work: () throws(APIError) -> Value) throws(APIError) -> Value {
        do throws(APIError) {
            return try work()
        } catch {
            throw renamed(error)
        }
    }
}
