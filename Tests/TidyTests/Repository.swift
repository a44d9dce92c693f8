import Foundation

/// The files of this checkout that people write.
enum Repository {
    static let root: String = {
        var url = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        for _ in 0..<3 { url.deleteLastPathComponent() }
        return url.path
    }()

    private static let folders = ["Sources", "Passes", "Artifacts", "Tests", "docs", ".ci"]
    private static let skipped: Set<String> = ["Fixtures", "model", ".build", "__pycache__"]
    private static let suffixes: Set<String> = ["swift", "c", "h", "inl", "py", "sh", "md", "modulemap", "html", "css", "js"]
    private static let bareNames: Set<String> = ["Makefile", "run"]

    /// Every text file in the order of paths; each is read once.
    static let files: [SourceFile] = paths.sorted().compactMap { path in
        guard let text = try? String(contentsOfFile: "\(root)/\(path)", encoding: .utf8) else { return nil }
        return SourceFile(path: path, text: text)
    }

    /// Swift files of the product and its tests.
    static var swift: [SourceFile] { files.filter { $0.suffix == "swift" } }

    /// Swift files that are shipped.
    static var product: [SourceFile] { swift.filter { !$0.isTest } }

    static var documents: [SourceFile] { files.filter { $0.suffix == "md" } }

    static func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: "\(root)/\(path)") }

    /// Names in a folder, without hidden ones.
    static func names(in folder: String) -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "\(root)/\(folder)")) ?? []
        return names.filter { !$0.hasPrefix(".") }.sorted()
    }

    /// Bytes of all files in folders called `Fixtures` or `Corpus`.
    static var fixtureBytes: Int {
        ["Tests", "Passes"].reduce(0) { bytes, folder in
            let files = FileManager.default.enumerator(atPath: "\(root)/\(folder)")
            return bytes + (files?.reduce(0) { bytes, entry in
                guard let path = entry as? String, path.contains("Fixtures/") || path.contains("Corpus/"),
                    let attributes = try? FileManager.default.attributesOfItem(atPath: "\(root)/\(folder)/\(path)")
                else { return bytes }
                return bytes + (attributes[.type] as? FileAttributeType == .typeRegular ? attributes[.size] as? Int ?? 0 : 0)
            } ?? 0)
        }
    }

    private static var paths: [String] {
        let top = ((try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []).filter(isWanted)
        return top + folders.flatMap(walk)
    }

    private static func walk(_ folder: String) -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "\(root)/\(folder)")) ?? []
        return names.filter { !skipped.contains($0) }.flatMap { name -> [String] in
            let path = "\(folder)/\(name)"
            var isDirectory: ObjCBool = false
            guard FileManager.default.fileExists(atPath: "\(root)/\(path)", isDirectory: &isDirectory) else { return [] }
            return isDirectory.boolValue ? walk(path) : isWanted(name) ? [path] : []
        }
    }

    private static func isWanted(_ name: String) -> Bool {
        bareNames.contains(name) || suffixes.contains(URL(fileURLWithPath: name).pathExtension)
    }
}

/// A place that breaks a rule.
struct Violation: CustomStringConvertible {
    let path: String
    let line: Int
    let message: String

    var description: String { "\(path):\(line): \(message)" }
}

extension [Violation] {
    /// One violation per line, for a failed expectation.
    var report: String { "\n" + map(\.description).joined(separator: "\n") }
}
