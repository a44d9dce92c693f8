import Foundation
import JSON

/// The named events of a stream.
struct ServerEvents {
    private(set) var names: [String] = []
    private(set) var all: [JSONValue] = []

    struct NoEvent: Error { let line: String }

    init(_ text: String) throws {
        for event in text.components(separatedBy: "\n\n") where !event.isEmpty {
            let lines = event.split(separator: "\n")
            guard lines.count == 2, lines[0].hasPrefix("event: "), lines[1].hasPrefix("data: ") else { throw NoEvent(line: event) }
            names.append(String(lines[0].dropFirst(7)))
            all.append(try JSONValue(parsing: String(lines[1].dropFirst(6))))
        }
    }
}
