internal import CYAML
internal import JSON

/// A configuration file as `vllm serve --config` takes it: YAML with one mapping, from names of flags to their values.
package struct ConfigFile: Sendable {
    package enum Value: Sendable, Equatable {
        case flag(Bool)
        case text(String)
        case list([String])
    }

    /// What the file says of one flag.
    package struct Entry: Sendable, Equatable {
        /// Without dashes before it.
        package var name: String
        package var value: Value
        /// The file and the line.
        package var place: String
    }

    package let entries: [Entry]

    /// Most bytes of a file.
    package static let largest = 1 << 20

    /// - Parameter name: what errors call the file.
    package init(_ bytes: [UInt8], name: String) throws(FlagError) {
        guard bytes.count <= Self.largest else { throw FlagError("\(name) has more than \(Self.largest >> 20) MB") }
        var reader = try ConfigReader(bytes, name: name)
        defer { reader.close() }
        entries = try reader.entries()
    }
}

/// Reads the events of libyaml: a mapping of scalars, of lists of scalars, and of mappings of scalars, which become JSON.
private struct ConfigReader {
    private enum Event {
        case scalar(String, isPlain: Bool)
        case listBegins, listEnds, mapBegins, mapEnds, documentBegins, documentEnds, streamEnds, other
    }

    private let name: String
    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private let bytes: UnsafeMutableBufferPointer<UInt8>
    /// Of the latest event, from 1.
    private var line = 1

    init(_ bytes: [UInt8], name: String) throws(FlagError) {
        self.name = name
        parser = .allocate(capacity: 1)
        self.bytes = .allocate(capacity: max(bytes.count, 1))
        _ = self.bytes.initialize(from: bytes)
        guard yaml_parser_initialize(parser) == 1 else { throw FlagError("\(name): no memory to read it") }
        yaml_parser_set_input_string(parser, self.bytes.baseAddress, bytes.count)
    }

    func close() {
        yaml_parser_delete(parser)
        parser.deallocate()
        bytes.deallocate()
    }

    private func error(_ what: String) -> FlagError { FlagError("\(name), line \(line): \(what)") }

    private mutating func next() throws(FlagError) -> Event {
        var event = yaml_event_t()
        guard yaml_parser_parse(parser, &event) == 1 else {
            line = Int(clamping: parser.pointee.problem_mark.line) + 1
            throw error(parser.pointee.problem.map { String(cString: $0) } ?? "is no YAML")
        }
        defer { yaml_event_delete(&event) }
        line = Int(clamping: event.start_mark.line) + 1
        switch event.type {
        case YAML_SCALAR_EVENT:
            let scalar = event.data.scalar
            guard scalar.anchor == nil, scalar.tag == nil else { throw error("anchors and tags are not read") }
            let text = String(decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
            return .scalar(text, isPlain: scalar.style == YAML_PLAIN_SCALAR_STYLE)
        case YAML_SEQUENCE_START_EVENT: return .listBegins
        case YAML_SEQUENCE_END_EVENT: return .listEnds
        case YAML_MAPPING_START_EVENT: return .mapBegins
        case YAML_MAPPING_END_EVENT: return .mapEnds
        case YAML_DOCUMENT_START_EVENT: return .documentBegins
        case YAML_DOCUMENT_END_EVENT: return .documentEnds
        case YAML_STREAM_END_EVENT: return .streamEnds
        case YAML_ALIAS_EVENT: throw error("aliases are not read")
        default: return .other
        }
    }

    mutating func entries() throws(FlagError) -> [ConfigFile.Entry] {
        var entries: [ConfigFile.Entry] = []
        _ = try next()
        guard case .documentBegins = try next() else { return [] }
        switch try next() {
        case .mapBegins: break
        case .scalar("", isPlain: true): return []
        default: throw error("the file must be a mapping, such as max-model-len: 4096")
        }
        while case .scalar(let name, _) = try next() {
            let place = "\(self.name), line \(line)"
            guard !entries.contains(where: { $0.name == name }) else { throw error("\(name) stands there twice") }
            guard name != "config" else { throw error("a configuration file names no other one") }
            entries.append(ConfigFile.Entry(name: name, value: try value(of: name), place: place))
        }
        guard case .documentEnds = try next(), case .streamEnds = try next() else { throw error("only one document is read") }
        return entries
    }

    private mutating func value(of name: String) throws(FlagError) -> ConfigFile.Value {
        switch try next() {
        case .scalar(let text, let isPlain):
            if isPlain, let isOn = Self.boolean(text) { return .flag(isOn) }
            guard !isPlain || !Self.isNull(text) else { throw error("\(name) has no value") }
            return .text(text)
        case .listBegins:
            var values: [String] = []
            while true {
                switch try next() {
                case .scalar(let text, _): values.append(text)
                case .listEnds:
                    guard !values.isEmpty else { throw error("\(name) is an empty list") }
                    return .list(values)
                default: throw error("\(name) must be a value or a list of values")
                }
            }
        case .mapBegins: return .text(try object(name))
        default: throw error("\(name) must be a value, a list or a mapping of values")
        }
    }

    /// The JSON text of a mapping of scalars.
    private mutating func object(_ name: String) throws(FlagError) -> String {
        var object = JSONObject()
        while true {
            let key: String
            switch try next() {
            case .mapEnds: return JSONValue.object(object).serializedText
            case .scalar(let text, _): key = text
            default: throw error("\(name) must be a mapping of values")
            }
            guard case .scalar(let text, let isPlain) = try next() else { throw error("\(name).\(key) must be a value") }
            object[key] = isPlain ? Self.json(text) : .string(text)
        }
    }

    private static func json(_ text: String) -> JSONValue {
        if isNull(text) { return .null }
        if let isOn = boolean(text) { return .bool(isOn) }
        if let number = Int(text) { return .int(number) }
        if let number = Double(text), number.isFinite { return .double(number) }
        return .string(text)
    }

    /// As YAML 1.1 has them, which PyYAML reads.
    private static func boolean(_ text: String) -> Bool? {
        guard text == text.lowercased() || text == text.uppercased() || text == text.capitalizedFirst else { return nil }
        switch text.lowercased() {
        case "true", "yes", "on": return true
        case "false", "no", "off": return false
        default: return nil
        }
    }

    private static func isNull(_ text: String) -> Bool { ["", "~", "null", "Null", "NULL"].contains(text) }
}

extension String {
    fileprivate var capitalizedFirst: String { prefix(1).uppercased() + dropFirst().lowercased() }
}
