import Foundation
import HuggingFace
import JSON
import Models
import Testing

/// What is said of architectures that no family computes.
@Suite struct RelativesTests {
    /// Names that models of the field have, each with the end of its message; `VLM_BLESS=1` writes them again.
    static let file = URL(fileURLWithPath: Oracle.repository + "/Tests/Families/unknown-architectures.txt")

    /// A table that new families do not change.
    static let table = FamilyTable([
        Llava.self, InternVL.self, MiniCPMV.self, Phi3V.self, QwenVL.self, Qwen2VL.self, Qwen25VL.self, Qwen3VL.self, Gemma3.self,
        PaliGemma.self, Idefics3.self, Pixtral.self, PaddleOCRVL.self, TextDecoder.self,
    ])

    private static func message(_ members: JSONObject, of table: FamilyTable = table) throws -> String {
        let config = try ModelConfig(.object(members))
        let error = #expect(throws: CheckpointError.self) { _ = try table.family(of: config) }
        return error?.message ?? ""
    }

    @Test func namesAreSetAmongTheirRelatives() throws {
        let text = try String(contentsOf: Self.file, encoding: .utf8)
        let list = ": \(Self.table.names.joined(separator: ", "))"
        var lines: [String] = []
        for line in text.split(separator: "\n") {
            let given = line.split(separator: "|")[0].split(separator: " ").map(String.init)
            var members = JSONObject()
            if let name = given.first(where: { !$0.hasPrefix("model_type=") }) { members["architectures"] = .array([.string(name)]) }
            if let type = given.first(where: { $0.hasPrefix("model_type=") }) { members["model_type"] = .string(String(type.dropFirst(11))) }
            let message = try Self.message(members)
            #expect(message.hasPrefix("the architecture ") && message.contains(" is unknown; the known ones are" + list), "\(message)")
            let rest = message.replacing(list, with: "").split(separator: "; the known ones are", omittingEmptySubsequences: false).last ?? ""
            lines.append(given.joined(separator: " ") + " |" + (rest.isEmpty ? " nothing" : rest.dropFirst(1)))
        }
        #expect(lines.count >= 40)
        let made = lines.joined(separator: "\n") + "\n"
        if ProcessInfo.processInfo.environment["VLM_BLESS"] == "1" { try Data(made.utf8).write(to: Self.file) }
        #expect(made == text, "VLM_BLESS=1 writes it again")
    }

    /// InternVL with a decoder that is unknown.
    @Test func decodersAreSetAmongTheirs() throws {
        let directory = try ModelDirectory(Oracle.repository + "/Tests/Families/Fixtures/internvl_chat_qwen2")
        var members = try #require(directory.config().original.objectValue)
        var text = try #require(members["llm_config"]?.objectValue)
        text["model_type"] = "internlm3"
        members["llm_config"] = .object(text)
        let error = #expect(throws: CheckpointError.self) {
            _ = try Architectures.definition(for: directory.replacing("config.json", with: .object(members)))
        }
        let message = error?.message ?? ""
        #expect(message.hasPrefix("llm_config.model_type is \"internlm3\", an unknown decoder; the known ones are: "), "\(message)")
        #expect(message.hasSuffix(". Of the same line: internlm2"), "\(message)")
    }
}
