import Foundation
internal import JSON

extension CalibrationSet {
    private static let pictureKinds: Set<String> = ["png", "jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff"]
    private static let (filesMax, bytesMax) = (1024, 32 << 20)
    /// What is asked of a picture that nothing is said about.
    private static let question = "Describe this picture."

    /// The set in a directory: each `NAME.txt` is a prompt, with the picture `NAME` where there is one; each line of a `.jsonl` is an object of
    /// `text`, and perhaps `images`, names of pictures beside it, and `answer`; every other picture is to be described.
    package init(directory: String) throws(SessionError) {
        guard let listed = try? FileManager.default.contentsOfDirectory(atPath: directory) else {
            throw SessionError(description: "\(directory): no directory that can be read")
        }
        guard listed.count <= Self.filesMax else { throw SessionError(description: "\(directory) has \(listed.count) files, above \(Self.filesMax)") }
        let names = listed.sorted().filter { !$0.hasPrefix(".") }
        func kind(_ name: String) -> String { (name as NSString).pathExtension.lowercased() }
        func stem(_ name: String) -> String { (name as NSString).deletingPathExtension }
        let pictures = names.filter { Self.pictureKinds.contains(kind($0)) }
        var (prompts, used): ([Prompt], Set<String>) = ([], [])
        for name in names where kind(name) == "txt" {
            let own = pictures.filter { stem($0) == stem(name) }
            let text = try Self.text(of: "\(directory)/\(name)")
            prompts.append(Prompt(text, pictures: try own.map { picture throws(SessionError) in try Self.bytes("\(directory)/\(picture)") }))
            used.formUnion(own)
        }
        for name in names where kind(name) == "jsonl" {
            for (index, line) in try Self.text(of: "\(directory)/\(name)").split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
                guard !line.allSatisfy(\.isWhitespace) else { continue }
                let (prompt, named) = try Self.prompt(line, at: "\(directory)/\(name), line \(index + 1)", directory, pictures)
                prompts.append(prompt)
                used.formUnion(named)
            }
        }
        for name in pictures where !used.contains(name) { prompts.append(Prompt(Self.question, pictures: [try Self.bytes("\(directory)/\(name)")])) }
        guard !prompts.isEmpty else {
            throw SessionError(description: "\(directory) has no prompts: neither .txt nor .jsonl nor pictures (\(Self.pictureKinds.sorted().joined(separator: ", ")))")
        }
        self.init(name: directory, prompts: prompts)
    }

    private static func prompt(
        _ line: Substring, at place: String, _ directory: String, _ pictures: [String]
    ) throws(SessionError) -> (Prompt, pictures: [String]) {
        func refuse(_ fault: String) -> SessionError { SessionError(description: "\(place): \(fault)") }
        let value: JSONValue
        do throws(JSONError) { value = try JSONValue(parsing: String(line)) } catch { throw refuse("\(error)") }
        guard let object = value.objectValue else { throw refuse("is no object") }
        for (key, _) in object where !["text", "images", "answer"].contains(key) {
            throw refuse("\"\(key.prefix(100))\" is not taken; text, images and answer are")
        }
        guard let text = object["text"]?.stringValue else { throw refuse("has no text") }
        let answer = object["answer"]
        if let answer, answer.stringValue == nil { throw refuse("answer is no string") }
        guard let named = (object["images"] ?? []).arrayValue?.map(\.stringValue) else { throw refuse("images is no list") }
        var names: [String] = []
        for name in named {
            guard let name, pictures.contains(name) else { throw refuse("there is no picture \(name ?? "of such a name") beside it") }
            names.append(name)
        }
        let files = try names.map { name throws(SessionError) in try bytes("\(directory)/\(name)") }
        return (Prompt(text, answer: answer?.stringValue, pictures: files), names)
    }

    private static func text(of path: String) throws(SessionError) -> String {
        guard let text = String(bytes: try bytes(path), encoding: .utf8) else { throw SessionError(description: "\(path) is no UTF-8 text") }
        return text
    }

    private static func bytes(_ path: String) throws(SessionError) -> [UInt8] {
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: (path as NSString).resolvingSymlinksInPath),
            attributes[.type] as? FileAttributeType == .typeRegular, let size = attributes[.size] as? Int
        else { throw SessionError(description: "\(path) is no file that can be read") }
        guard size <= bytesMax else { throw SessionError(description: "\(path) has \(size) bytes, above \(bytesMax)") }
        guard let data = FileManager.default.contents(atPath: path) else { throw SessionError(description: "\(path) cannot be read") }
        return Array(data)
    }
}
