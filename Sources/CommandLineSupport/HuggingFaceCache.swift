import Foundation

/// The models that HuggingFace's tools have downloaded.
package struct HuggingFaceCache: Sendable {
    /// Where the folders `models--OWNER--NAME` lie; nil where the environment names no place.
    package let root: String?

    /// `$HF_HUB_CACHE`, else `$HUGGINGFACE_HUB_CACHE`, `$HF_HOME/hub`, `$XDG_CACHE_HOME/huggingface/hub`, `~/.cache/huggingface/hub`, as
    /// `huggingface_hub.constants` has them; a `~` at the beginning is the home directory.
    package init(environment: [String: String]) {
        func value(_ name: String) -> String? {
            guard let path = environment[name], !path.isEmpty else { return nil }
            guard path == "~" || path.hasPrefix("~/"), let home = environment["HOME"] else { return path }
            return home + path.dropFirst()
        }
        root =
            value("HF_HUB_CACHE") ?? value("HUGGINGFACE_HUB_CACHE") ?? value("HF_HOME").map { "\($0)/hub" }
            ?? value("XDG_CACHE_HOME").map { "\($0)/huggingface/hub" } ?? value("HOME").map { "\($0)/.cache/huggingface/hub" }
    }

    /// Whether a repository may be called so: `OWNER/NAME` of letters, digits, `-`, `_` and `.`, as `huggingface_hub.validate_repo_id` has it.
    package static func isRepository(_ name: String) -> Bool {
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        return parts.count == 2 && name.utf8.count <= 96 && !name.contains("--") && !name.contains("..")
            && parts.allSatisfy { part in
                guard let first = part.utf8.first, let last = part.utf8.last, part.utf8.allSatisfy(Self.isNamed) else { return false }
                return ![first, last].contains { "-.".utf8.contains($0) }
            }
    }

    private static func isNamed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: "-_.".utf8.contains(byte)
        }
    }

    /// The repository of a name with a suffix behind it, such as `:Q4_K_M`, by which llama.cpp chooses one of several files; nil without one.
    private static func suffixed(_ name: String) -> (repository: String, suffix: Substring)? {
        guard let colon = name.firstIndex(of: ":"), case let repository = String(name[..<colon]), isRepository(repository) else { return nil }
        return (repository, name[colon...])
    }

    /// Whether `name`, a path where nothing is, was meant as a repository: the folder before the slash is not there either.
    package static func isMeant(by name: String) -> Bool {
        guard isRepository(name) || suffixed(name) != nil, let slash = name.firstIndex(of: "/") else { return false }
        return !FileManager.default.fileExists(atPath: String(name[..<slash]))
    }

    /// The folder of the repository `name` when it was downloaded.
    package func folder(of name: String) -> String? {
        guard let root, Self.isRepository(name) else { return nil }
        let folder = "\(root)/models--\(name.replacing("/", with: "--"))"
        return FileManager.default.fileExists(atPath: folder + "/snapshots") ? folder : nil
    }

    /// The model directory that `name` means: a path that exists, or the folder of a repository; nil for neither.
    package func directory(_ name: String) -> String? {
        FileManager.default.fileExists(atPath: name) ? name : folder(of: name)
    }

    /// What to do about a repository that is not there.
    package func missing(_ name: String) -> String {
        if let (repository, suffix) = Self.suffixed(name) {
            return "\(name) has the suffix \(suffix), which chooses a GGUF file, and those are not read; give the repository of the model's safetensors alone, such as \(repository)"
        }
        return absent(name)
    }

    private func absent(_ name: String) -> String {
        "\(name) is neither a directory nor in HuggingFace's cache\(root.map { " \($0)" } ?? ""); download it first: hf download \(name)"
    }
}
