import ArgumentParser
import CommandLineSupport
import Foundation
import HTTPAPI
import JSON
import Logging
import Serving

/// How the log is written: for people, or an object of JSON in each line.
enum LogFormat: String, ExpressibleByArgument, CaseIterable {
    case text, json
}

enum LogLevel: String, ExpressibleByArgument, CaseIterable {
    case debug, info, warning, error

    var ofLogger: Logger.Level {
        switch self {
        case .debug: .debug
        case .info: .info
        case .warning: .warning
        case .error: .error
        }
    }
}

/// The log of the process, on stderr.
enum ServerLog {
    /// Whose lines wait a second for a reader that is slow, and are written at every level.
    private static let operators = "operator"

    /// Has all loggers write in this form from now on; called once, before the first line.
    static func begin(_ format: LogFormat, level: LogLevel) {
        LoggingSystem.bootstrap { label in
            LineHandler(
                format: format, waitMilliseconds: label == operators ? 1000 : 0, logLevel: label == operators ? .trace : level.ofLogger)
        }
    }

    /// What happens while the server runs; a line that cannot be written at once is dropped.
    static var running: Logger { Logger(label: "server") }

    /// What an operator should see whatever the level is.
    static func say(_ line: String, _ level: Logger.Level = .info) { Logger(label: operators).log(level: level, "\(line)") }

    static func warn(_ line: String) { say(line, .warning) }

    /// Why the process ends.
    static func fail(_ message: String) { say(message, .error) }
}

extension Logger {
    func tell(_ notice: EngineNotice) {
        switch notice {
        case .report(let text): info("\(text)")
        case .warning(let text): warning("\(text)")
        }
    }

    func log(_ line: LogLine) {
        var fields: Metadata = [:]
        for (name, value) in line.fields { fields[name] = .stringConvertible(Field(value: value)) }
        log(level: line.level == .error ? .error : .info, "\(line.message)", metadata: fields)
    }
}

/// A value that stays what it is in JSON.
private struct Field: CustomStringConvertible, Sendable {
    let value: JSONValue

    var description: String { value.serializedText }
}

/// Writes one line for each event. Words of clients stand in it: line breaks and terminal sequences are shown, not sent.
///
/// In text it is the message alone, which says what the metadata say; in JSON they are fields beside it.
private struct LineHandler: LogHandler {
    let format: LogFormat
    let waitMilliseconds: Int32
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let time = Self.stamp(Date())
        let line =
            switch format {
            case .text: "\(time) \(event.level): \("\(event.message)".visible())"
            case .json: json(time, event)
            }
        StandardError.write(line + "\n", waitMilliseconds: waitMilliseconds)
    }

    private func json(_ time: String, _ event: LogEvent) -> String {
        var object: JSONObject = ["time": .string(time), "level": .string("\(event.level)"), "message": .string("\(event.message)")]
        let fields = metadata.merging(event.metadata ?? [:]) { $1 }
        for (name, value) in fields.sorted(by: { $0.key < $1.key }) where object[name] == nil {
            object[name] =
                switch value {
                case .stringConvertible(let field as Field): field.value
                case .stringConvertible(let number as Int): .int(number)
                default: .string("\(value)")
                }
        }
        return JSONValue.object(object).serializedText
    }

    /// ISO 8601 in UTC, to the millisecond.
    private static func stamp(_ date: Date) -> String {
        date.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    }
}
