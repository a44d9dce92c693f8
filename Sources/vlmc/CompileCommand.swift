import CommandLineSupport
import Compiler
import Foundation

/// The command line of this process.
enum CompileCommand {
    /// The same, but that it compiles; a shell reads it as it is.
    static var thatCompiles: String {
        var words = CommandLine.arguments.dropFirst().filter { $0 != "--only-stored" }
        // What a server asks for beside what is compiled.
        while let flag = words.firstIndex(where: { ["--least-model-len", "--progress-to"].contains($0) }) { words.removeSubrange(flag..<min(flag + 2, words.count)) }
        return (["vlmc"] + words.map { word in
            let isPlain = !word.isEmpty && word.allSatisfy { $0.isLetter || $0.isNumber || "/._-+,=:@%".contains($0) }
            return isPlain ? word : "'\(word.replacing("'", with: "'\\''"))'"
        }).joined(separator: " ")
    }
}

extension CompileReport {
    /// Writes it as JSON.
    func write(to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let data = try encoder.encode(self)
        try Failure.wrapping { () throws(FileError) in try OutputFile.write(Array(data), to: path) }
    }
}
