import JSON
import Plan
import Serving
import Testing

@Suite struct GenerationFileTests {
    private func read(_ text: String) throws -> GenerationDefaults { try GenerationFile(Array(text.utf8), path: "f").defaults }

    @Test func readsWhatAnswersTakeFromIt() throws {
        let text = """
            {"do_sample": true, "temperature": 0.7, "top_p": 0.8, "top_k": 20, "min_p": 0.1, "repetition_penalty": 1.05,
             "max_new_tokens": 99, "eos_token_id": [1, 2], "transformers_version": "5"}
            """
        let expected = GenerationDefaults(
            doSample: true, temperature: 0.7, topP: 0.8, topK: 20, minP: 0.1, repetitionPenalty: 1.05, maxNewTokens: 99)
        #expect(try read(text) == expected)
        #expect(try read("{\"temperature\": null}") == GenerationDefaults())
    }

    @Test func namesWhatCannotBe() {
        for (text, words) in [
            ("{\"temperature\": -1}", "f: temperature must be a number at least 0, not -1"), ("[]", "f holds a list, not an object"),
            ("{\"top_p\": 0}", "top_p must be"), ("{\"top_k\": 1.5}", "top_k must be a whole number"), ("{", "f: "),
            ("{\"max_new_tokens\": 0}", "at least 1, not 0"), ("{\"do_sample\": 1}", "do_sample must be a boolean"),
        ] {
            let fault = #expect(throws: GenerationFile.Fault.self) { try read(text) }
            #expect(fault?.description.contains(words) == true, "\(fault?.description ?? "")")
        }
        #expect(throws: GenerationFile.Fault.self) { try GenerationFile(in: "/nowhere") }
    }
}
