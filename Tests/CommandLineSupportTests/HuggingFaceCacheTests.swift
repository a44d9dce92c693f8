import CommandLineSupport
import Foundation
import Testing

@Suite struct HuggingFaceCacheTests {
    /// As `huggingface_hub.constants` of version 1 chooses it.
    @Test func theEnvironmentSaysWhere() {
        var environment = ["HOME": "/h"]
        func root() -> String? { HuggingFaceCache(environment: environment).root }
        #expect(root() == "/h/.cache/huggingface/hub")
        environment["XDG_CACHE_HOME"] = "/x"
        #expect(root() == "/x/huggingface/hub")
        environment["HF_HOME"] = "~/hf"
        #expect(root() == "/h/hf/hub")
        environment["HUGGINGFACE_HUB_CACHE"] = "/old"
        #expect(root() == "/old")
        environment["HF_HUB_CACHE"] = "/new"
        #expect(root() == "/new")
        environment["HF_HUB_CACHE"] = ""
        #expect(root() == "/old")
        #expect(HuggingFaceCache(environment: [:]).root == nil)
    }

    @Test(arguments: [("a/b", true), ("Owner-1/name_2.5", true), ("a", false), ("a/b/c", false), ("/b", false), ("a/", false), ("a--b/c", false), ("../c", false), ("a/.b", false), ("a/b-", false), ("a/b c", false), ("ä/b", false), ("", false)])
    func namesOfRepositories(name: String, isOne: Bool) { #expect(HuggingFaceCache.isRepository(name) == isOne) }

    @Test func foldersAreFoundOnceSomethingWasDownloaded() throws {
        let root = FileManager.default.temporaryDirectory.appending(path: "vlm-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: root) }
        let cache = HuggingFaceCache(environment: ["HF_HUB_CACHE": root])
        let folder = root + "/models--a--b"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        #expect(cache.folder(of: "a/b") == nil)
        try FileManager.default.createDirectory(atPath: folder + "/snapshots", withIntermediateDirectories: true)
        #expect(cache.folder(of: "a/b") == folder && cache.directory("a/b") == folder)
        #expect(cache.folder(of: "a/c") == nil && cache.folder(of: "a") == nil)
        #expect(cache.directory(root) == root)
        #expect(cache.missing("a/c") == "a/c is neither a directory nor in HuggingFace's cache \(root); download it first: hf download a/c")
        #expect(cache.missing("a/c:Q4_K_M").hasPrefix("a/c:Q4_K_M has the suffix :Q4_K_M, which chooses a GGUF file, and those are not read; give the repository"))
        #expect(HuggingFaceCache.isMeant(by: "a/c:Q4_K_M") && !HuggingFaceCache.isMeant(by: "c:Q4_K_M") && !HuggingFaceCache.isMeant(by: "/a/c:Q4"))
    }
}
