import Testing

/// Who may import whom: two halves, compiler and runtime, with `Plan` and the artifact as the interface between them.
@Suite struct ImportTests {
    /// Modules and libraries that each module may import besides the toolchain's own.
    static let table: [String: Set<String>] = [
        "Tensors": [],
        "Plan": ["Tensors"],
        // Checkpoints hold them, and requests.
        "Safetensors": ["JSON", "Tensors"],
        // A node names the kernel that computes it.
        "IR": ["Plan", "Tensors"],
        "Reference": ["IR", "Tensors", "COpenBLAS"],
        "Budgets": [],
        "HostLimits": ["Foundation"],
        "JSON": [],
        "Texts": [],
        "ChatTemplates": ["Budgets", "JSON", "Texts", "Foundation"],
        "HuggingFace": ["HostLimits", "JSON", "Safetensors", "Tensors", "Crypto", "Foundation"],
        // A definition reads its configuration from the checkpoint's own type.
        "Models": ["HuggingFace", "IR", "JSON", "Plan", "Tensors", "Foundation"],
        "Passes": ["IR", "Plan", "Reference", "Tensors"],
        "ArtifactFormat": ["Plan", "Tensors", "CZstd", "Crypto", "Foundation"],
        // Tokenizer, template and the tree of tokens' texts are compiled ahead (Inputs, GuidedDecoding); small weights are computed when packed (Reference).
        "Compiler": [
            "ArtifactFormat", "Budgets", "CKernels", "COpenBLAS", "ChatTemplates", "Crypto", "Foundation", "GuidedDecoding", "HostLimits", "HuggingFace", "IR",
            "Inputs", "JSON", "Models", "Passes", "Plan", "Reference", "Tensors",
        ],
        "Inputs": ["Budgets", "JSON", "Plan", "Texts", "CImage", "CPCRE2", "CUTF8Proc", "Foundation"],
        "VideoDecoding": ["Budgets", "CFrameProcess", "Inputs"],
        "Execution": ["ArtifactFormat", "Plan", "Tensors"],
        "CPUBackend": ["ArtifactFormat", "CKernels", "COpenBLAS", "Execution", "Foundation", "HostLimits", "Plan", "Tensors"],
        // The sampler reduces rows of logits by kernels.
        "GuidedDecoding": ["JSON"],
        "Serving": ["Budgets", "CKernels", "Crypto", "Execution", "Foundation", "GuidedDecoding", "Inputs", "JSON", "Plan"],
        // Opens artifacts: the engine's and the sections' types meet here and nowhere else.
        // Adapters are read as PEFT writes them.
        "ModelRuntime": [
            "ArtifactFormat", "ChatTemplates", "Execution", "Foundation", "HostLimits", "HuggingFace", "Inputs", "JSON", "Plan", "Serving", "Tensors",
        ],
        // The library: the only module with public declarations, so that its users see no other.
        "VLMRuntime": ["ArtifactFormat", "Budgets", "CPUBackend", "Foundation", "Inputs", "JSON", "ModelRuntime", "Plan", "Serving", "VideoDecoding"],
        "MediaFetching": ["AsyncHTTPClient", "Foundation", "NIOCore", "NIOHTTP1", "NIOPosix", "NIOSSL"],
        "HTTPAPI": [
            "Budgets", "CHeap", "Crypto", "Foundation", "GuidedDecoding", "HTTPTypes", "Hummingbird", "HummingbirdCore", "HummingbirdTLS", "Inputs", "JSON", "Logging", "MediaFetching", "NIOCore", "NIOHTTP1", "NIOSSL",
            "Safetensors", "ServiceLifecycle", "Plan", "Serving",
        ],
        // What a person names may be an artifact of the store.
        "CommandLineSupport": ["ArgumentParser", "ArtifactFormat", "Foundation"],
        "ForeignFlags": ["CYAML", "JSON"],
        "vlmc": [
            "ArgumentParser", "ArtifactFormat", "Budgets", "CPUBackend", "ChatTemplates", "CommandLineSupport", "Compiler",
            "Foundation", "HostLimits", "HuggingFace", "IR", "Inputs", "JSON", "ModelRuntime", "Passes", "Plan", "Serving", "Tensors", "VLMRuntime",
            "VideoDecoding",
        ],
        "vlm-serve": [
            "ArgumentParser", "ArtifactFormat", "CHeap", "CPUBackend", "CommandLineSupport", "ForeignFlags", "Foundation", "HTTPAPI", "HostLimits", "Inputs", "JSON", "Logging",
            "MediaFetching", "ModelRuntime", "Plan", "ServiceLifecycle", "Serving", "UnixSignals", "VideoDecoding",
        ],
        // The self-test of `verify` runs the artifact as a server does.
        "vlm-cache": [
            "ArgumentParser", "ArtifactFormat", "CPUBackend", "CommandLineSupport", "Foundation", "ModelRuntime", "Plan", "Tensors",
        ],
    ]

    /// Part of every toolchain, and of no consequence for the layers.
    static let toolchain: Set<String> = ["Dispatch", "Glibc", "Synchronization", "Swift"]

    @Test func everyImportIsInTheTable() {
        let violations = Repository.product.flatMap(Self.forbiddenImports)
        #expect(violations.isEmpty, "\(violations.report)")
    }

    @Test func everyModuleIsInTheTable() {
        let modules = Set(Repository.product.compactMap(\.module))
        #expect(modules.subtracting(Self.table.keys).sorted() == [], "say in ImportTests what these modules may import")
    }

    @Test func theTableHasNoCycle() {
        for module in Self.table.keys {
            var reached: Set<String> = []
            var waiting = Array(Self.table[module, default: []])
            while let next = waiting.popLast() {
                if reached.insert(next).inserted { waiting += Self.table[next, default: []] }
            }
            #expect(!reached.contains(module), "\(module) imports itself over others")
        }
    }

    @Test func everyImportIsDeclaredInThePackage() throws {
        let manifest = try #require(Repository.files.first { $0.path == "Package.swift" })
        let targets = Targets(manifest)
        let violations = Repository.swift.flatMap { Self.undeclaredImports($0, targets) }
        #expect(violations.isEmpty, "\(violations.report)")
    }

    @Test func aForbiddenImportIsFound() {
        let file = SourceFile(path: "Sources/Serving/A.swift", text: "import Plan\n@preconcurrency package import IR\n// import NIOCore")
        #expect(Self.forbiddenImports(file).map(\.line) == [2])
    }

    static func forbiddenImports(_ file: SourceFile) -> [Violation] {
        guard let module = file.module, let allowed = table[module] else { return [] }
        return imports(file).filter { !allowed.contains($0.name) && !toolchain.contains($0.name) }.map { line, name in
            file.violation(line, "\(module) must not import \(name); it may import \(allowed.sorted().joined(separator: ", "))")
        }
    }

    private static func undeclaredImports(_ file: SourceFile, _ targets: Targets) -> [Violation] {
        let parts = file.path.split(separator: "/").map(String.init)
        guard let target = file.module ?? (file.isTest && parts.count > 2 ? parts[1] : nil) else { return [] }
        guard let declared = targets.dependencies[target] else { return [] }
        let ours = Set(targets.dependencies.keys)
        return imports(file).filter { ours.contains($0.name) && !declared.contains($0.name) }.map { line, name in
            file.violation(line, "\(target) imports \(name), which its dependencies in Package.swift do not name")
        }
    }

    private static func imports(_ file: SourceFile) -> [(line: Int, name: String)] {
        file.code.enumerated().compactMap { line, text -> (line: Int, name: String)? in
            guard text.holds("import ") else { return nil }
            let words = text.split(separator: " ")
            guard let place = words.firstIndex(of: "import"), place + 1 < words.count,
                words[..<place].allSatisfy({ $0.hasPrefix("@") || Self.levels.contains($0) })
            else { return nil }
            let name = words[(place + 1)...].first(where: { !Self.kinds.contains($0) }) ?? ""
            return (line, String(name.prefix { $0 != "." && $0 != ";" }))
        }
    }

    private static let levels: Set<Substring> = ["public", "package", "internal", "fileprivate", "private"]
    private static let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]
}

/// The targets that `Package.swift` declares, each with the names between its parentheses.
private struct Targets {
    private(set) var dependencies: [String: Set<String>] = [:]

    init(_ manifest: SourceFile) {
        let text = manifest.lines.joined(separator: "\n")
        for declaration in text.matches(of: /(?:module|tool|tests|library|[tT]arget)\(\s*(?:name: )?"([A-Za-z0-9-]+)"/) {
            let isTests = declaration.0.hasPrefix("tests")
            let name = String(declaration.1) + (isTests ? "Tests" : "")
            let end = Self.closing(text, from: declaration.range.lowerBound)
            let rest = text[declaration.range.upperBound..<end]
            dependencies[name, default: []].formUnion(rest.matches(of: /"([A-Za-z0-9-]+)"/).map { String($0.1) })
        }
    }

    /// Where the first parenthesis after `start` is closed.
    private static func closing(_ text: String, from start: String.Index) -> String.Index {
        var depth = 0
        for index in text[start...].indices {
            if text[index] == "(" { depth += 1 }
            guard text[index] == ")" else { continue }
            depth -= 1
            if depth == 0 { return index }
        }
        return text.endIndex
    }
}
