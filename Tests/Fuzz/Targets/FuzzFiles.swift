import Foundation
import Inputs
import JSON
import Seeded

/// Files for code that reads paths.
enum FuzzFiles {
    /// Writes a file of this process alone, again and again the same, and returns its path.
    static func write(_ bytes: [UInt8], _ name: String) -> String {
        let path = "\(NSTemporaryDirectory())/fuzz-\(getpid())-\(name)"
        _ = FileManager.default.createFile(atPath: path, contents: Data(bytes))
        return path
    }
}

/// JSON text, mutated as a document or as bytes.
enum JSONText {
    static func changed(_ text: [UInt8], _ dice: inout Dice, corpus: [[UInt8]], words: [String]) -> [UInt8] {
        guard let document = try? JSONValue(parsing: text), !dice.once(in: 5) else {
            return ByteMutation.apply(text, &dice, corpus: corpus, words: words)
        }
        return JSONMutation.apply(document, &dice, strings: words).serialized
    }
}
