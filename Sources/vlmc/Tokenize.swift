import ArgumentParser
import ArtifactFormat
import Budgets
import ChatTemplates
import CommandLineSupport
import Compiler
import Foundation
import HuggingFace
import Inputs
import JSON
import ModelRuntime

struct Tokenize: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Turn lines of stdin into token ids, or back.",
        discussion: """
            Each line becomes a JSON array of ids; special tokens in the text count as such, and none is added. With --json a \
            line is a JSON string, so that it may hold newlines. With --decode each line is a JSON array of ids and becomes \
            its text (with --json a JSON string). Needs nothing but the tokenizer's files.
            """)

    @Argument(help: "A model directory, or an artifact: its directory, the beginning of its key, or its model's name.")
    var model: String

    @OptionGroup var store: StoreOption

    @Flag(help: "Text lines are JSON strings.")
    var json = false

    @Flag(help: "Ids to text.")
    var decode = false

    func run() throws {
        let tokenizer = try Sources.tokenizer(try store.source(model))
        var number = 0
        while let line = readLine(strippingNewline: false).map(withoutNewline) {
            number += 1
            do {
                try StandardOutput.write((decode ? try text(line, tokenizer) : try ids(line, tokenizer)) + "\n")
            } catch let failure as Failure {
                throw Failure("stdin, line \(number): \(failure)")
            }
        }
    }

    /// A line's document; lines and columns are those of the whole input.
    private func document(_ line: String) throws(Failure) -> JSONValue {
        do { return try JSONValue(parsing: Array(line.utf8)) } catch {
            throw Failure("invalid JSON at column \(error.column): \(error.message)")
        }
    }

    /// The line as it stands, carriage returns included: they are characters of the text.
    private func withoutNewline(_ line: String) -> String {
        line.unicodeScalars.last == "\n" ? String(line.unicodeScalars.dropLast()) : line
    }

    private func ids(_ line: String, _ tokenizer: Tokenizer) throws -> String {
        var text = line
        if json {
            guard let value = try document(line).stringValue else { throw Failure("no JSON string: \(line.prefix(60))") }
            text = value
        }
        let ids = try Failure.wrapping { () throws(TokenizationError) in try boundedIDs(of: text, tokenizer) }
        return "[" + ids.map(String.init).joined(separator: ", ") + "]"
    }

    /// Throws when the text takes more than a minute of processor time.
    private func boundedIDs(of text: String, _ tokenizer: Tokenizer) throws(TokenizationError) -> [Int32] {
        let budget = WorkBudget(cpuLimit: .seconds(60))
        return try budget.onThisThread { () throws(TokenizationError) in
            try tokenizer.encode(text, addSpecialTokens: false, budget: budget)
        }
    }

    private func text(_ line: String, _ tokenizer: Tokenizer) throws -> String {
        let value = try document(line)
        let ids = try value.arrayValue.map { elements in
            try elements.map { element in
                guard let id = element.intValue.flatMap(Int32.init(exactly:)), tokenizer.token(id) != nil else {
                    throw Failure("\(element.serializedText) is no token id of this tokenizer")
                }
                return id
            }
        }
        guard let ids else { throw Failure("no JSON array of ids: \(line.prefix(60))") }
        let text = try Failure.wrapping { () throws(TokenizationError) in try tokenizer.decode(ids, skipSpecialTokens: false) }
        return json ? JSONValue.string(text).serializedText : text
    }
}

/// Parts of a model directory or an artifact, whichever is named.
enum Sources {
    static func isArtifact(_ path: String) -> Bool { FileManager.default.fileExists(atPath: "\(path)/manifest.json") }

    static func tokenizer(_ path: String) throws -> Tokenizer {
        guard isArtifact(path) else {
            return try Failure.wrapping { () throws(CheckpointError) in try ModelDirectory(path).tokenizer() }
        }
        return try Failure.wrapping { try Artifact.open(directory: path).tokenizer() }
    }

    /// What makes inputs of requests; needs no weights.
    static func inputs(_ path: String) throws -> ModelInputs {
        guard isArtifact(path) else {
            return try Failure.wrapping { () throws(CheckpointError) in
                let directory = try ModelDirectory(path)
                let tokenizer = try directory.tokenizer()
                return ModelInputs(
                    spec: try directory.inputs(tokenizer), tokenizer: tokenizer, template: try directory.foundTemplate()?.source)
            }
        }
        return try Failure.wrapping { try ModelInputs(Artifact.open(directory: path)) }
    }

    /// The chat template of a directory, an artifact or a file of its own.
    static func template(_ path: String) throws -> ChatTemplate {
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
            throw Failure("\(path): there is no such file or directory")
        }
        let source: String?
        if !isDirectory.boolValue {
            source = String(decoding: try Failure.wrapping { () throws(FileError) in try InputFile.read(path) }, as: UTF8.self)
        } else if isArtifact(path) {
            source = try Failure.wrapping { () throws(ArtifactError) in try Artifact.open(directory: path).chatTemplate() }
        } else {
            source = try Failure.wrapping { () throws(CheckpointError) in try ModelDirectory(path).foundTemplate()?.source }
        }
        guard let source else { throw Failure("\(path) has no chat template") }
        return try Failure.wrapping { () throws(ChatTemplateError) in try ChatTemplate(source: source) }
    }

    static func json(_ path: String) throws -> JSONValue {
        let bytes = try Failure.wrapping { () throws(FileError) in try InputFile.read(path) }
        do { return try JSONValue(parsing: bytes) } catch { throw Failure("\(path): \(error)") }
    }
}
