import Foundation
import Testing

/// `vlm-serve` with the demo model: true answers about real images over the OpenAI API.
@Suite struct ServeTests {
    /// A recorded question of the demo model with what transformers answers greedily.
    private struct Record: Decodable {
        struct Item: Decodable {
            var images: [String]
            var question: String
            var question_first: Bool
            var text: String
            var margins: [Double]
        }
        var near_tie: Double
        var items: [Item]
    }

    @Test func answersAsTransformersInAnyOrder() async throws {
        let space = try Workspace()
        let server = try Server(space.compile(Workspace.demoModel, "--precision", "exact"))
        let folder = Workspace.fixtures.appending(path: "demo200")
        let record = try JSONDecoder().decode(Record.self, from: Data(contentsOf: folder.appending(path: "expected.json")))
        let items = record.items.shuffled()
        let differing = try await withThrowingTaskGroup(of: String?.self) { group in
            var next = 0
            func add() {
                guard next < items.count else { return }
                let item = items[next]
                next += 1
                group.addTask {
                    let images = try item.images.map { try Data(contentsOf: folder.appending(path: $0)) }
                    let answer = try await server.ask(item.question, images, questionFirst: item.question_first)
                    return answer == item.text ? nil : "\(item.question) → \(answer), not \(item.text)"
                }
            }
            for _ in 0..<16 { add() }
            var differing: [String] = []
            while let result = try await group.next() {
                if let result { differing.append(result) }
                add()
            }
            return differing
        }
        #expect(differing.isEmpty, "\(differing.joined(separator: "\n"))")
        #expect(server.stop() == 0)
    }

    /// Each as it is listed and the other way round: the model was trained on both orders.
    @Test func samplesAreAnsweredWithTheFastKernels() async throws {
        struct Sample: Decodable {
            var images: [String]
            var question: String
            var question_first: Bool
            var answer: String
        }
        let space = try Workspace()
        let server = try Server(space.compile(Workspace.demoModel))
        let folder = Workspace.repository.appending(path: "Artifacts/Demo/samples")
        let samples = try JSONDecoder().decode([Sample].self, from: Data(contentsOf: folder.appending(path: "samples.json")))
        for sample in samples {
            let images = try sample.images.map { try Data(contentsOf: folder.appending(path: $0)) }
            for questionFirst in images.isEmpty ? [false] : [false, true] {
                #expect(try await server.ask(sample.question, images, questionFirst: questionFirst) == sample.answer)
            }
        }
        let asked = samples.filter { !$0.images.isEmpty }
        #expect(asked.count { $0.question_first } * 3 >= asked.count)
    }

    @Test(arguments: ["tokenizer.bin", "weights.bin"]) func refusesADamagedArtifact(file: String) throws {
        let space = try Workspace()
        let artifact = try space.compile(Workspace.demoModel)
        let path = artifact + "/" + file
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        bytes[bytes.count / 2] ^= 1
        try bytes.write(to: URL(fileURLWithPath: path))
        let outcome = try Command("vlm-serve", [artifact, "--port", "0"]).run()
        #expect(1...125 ~= outcome.status)
        #expect(outcome.errors.contains(file))
        #expect(!outcome.errors.contains("listening on"))
        #expect(try space.cache("verify", artifact).status == 1)
    }

    /// As `vlm-cache ls` prints the model; what is served is not removed unasked.
    @Test func servesByNameAndIsNotRemovedUnasked() async throws {
        let space = try Workspace()
        let artifact = try space.compile(Workspace.demoModel)
        let server = try Server("model", "--store", space.store)
        let refused = try space.cache("rm", "model")
        #expect(refused.status == 1 && refused.errors.contains("is in use by process \(server.processID); nothing was removed"), "\(refused.errors)")
        #expect(FileManager.default.fileExists(atPath: artifact))
        #expect(try space.cache("rm", "model", "--force").status == 0)
        #expect(!FileManager.default.fileExists(atPath: artifact))
        #expect(try await server.ask("Hello", [], questionFirst: true, model: artifact).isEmpty == false)
        #expect(server.stop() == 0)
    }

    @Test func aKeyOfWhiteSpaceDoesNotOpenTheServer() throws {
        let outcome = try Command("vlm-serve", ["nothing"], environment: ["VLLM_API_KEY": " \n"]).run()
        #expect(outcome.status == 64 && outcome.errors.contains("VLLM_API_KEY holds white space alone"), "\(outcome.errors)")
    }
}
