import Foundation
import JSON
import Testing

/// `vlmc run`: one question, and several line by line.
@Suite struct RunTests {
    private static let samples = Workspace.repository.appending(path: "Artifacts/Demo/samples")
    private static func sample(_ name: String) -> String { samples.appending(path: name).path }

    private func chat(_ server: Server, _ messages: [[String: Any]], _ fields: [String: Any] = [:]) async throws -> (text: String, tokens: Int?) {
        var body: [String: Any] = ["model": "model", "temperature": 0, "max_tokens": 256, "messages": messages]
        body.merge(fields) { $1 }
        let json = try await JSONValue(parsing: Array(server.chat(JSONSerialization.data(withJSONObject: body))))
        return (json["choices"]?[0]?["message"]?["content"]?.stringValue ?? "\(json)", json["usage"]?["completion_tokens"]?.intValue)
    }

    /// A conversation answers what a server answers to the same messages; what was said is not computed again, and an error ends nothing.
    @Test func conversationsOverStdin() async throws {
        let space = try Workspace()
        let artifact = try space.compile(Workspace.demoModel, "--precision", "exact")
        let system = "Answer briefly. " + String(repeating: "Look at shapes and colors. ", count: 8)
        let input = """
            /image \(Self.sample("shapes-two.jpg"))
            What do you see?

            Describe the image.
            /nothing
            /image \(space.path("nowhere.png"))
            /image \(Workspace.repository.appending(path: "README.md").path)
            What is this?
            //quit is no command
            /reset
            Describe the image.
            """
        let outcome = try space.vlmc("run", artifact, "--interactive", "--json", "--system", system, input: input)
        #expect(outcome.status == 0, "\(outcome.errors)")
        let answers = try outcome.output.split(separator: "\n").map { try JSONValue(parsing: Array($0.utf8)) }
        let texts = answers.compactMap { $0["text"]?.stringValue }
        let server = try Server(artifact)
        let image = try Data(contentsOf: URL(fileURLWithPath: Self.sample("shapes-two.jpg")))
        var messages: [[String: Any]] = [["role": "system", "content": system]]
        for (index, question) in ["What do you see?", "Describe the image.", "/quit is no command"].enumerated() where index < texts.count {
            messages.append(["role": "user", "content": index == 0 ? Server.content(question, [image], questionFirst: false) : question])
            let (text, tokens) = try await chat(server, messages)
            #expect(texts[index] == text && answers[index]["completion_tokens"]?.intValue == tokens)
            messages.append(["role": "assistant", "content": text])
        }
        let last = try await chat(server, [messages[0], ["role": "user", "content": "Describe the image."]])
        #expect(texts.count == 4 && texts.last == last.text)
        #expect(answers.map { ($0["cached_tokens"]?.intValue ?? 0) >= 64 } == [false, true, true, true])
        #expect(answers.map { ($0["image_tokens"]?.intValue ?? 0) > 0 } == [true, true, true, false])
        #expect(outcome.errors.contains("error: /nothing is no command"))
        #expect(outcome.errors.contains("nowhere.png: No such file"))
        #expect(outcome.errors.contains("error: \(Workspace.repository.appending(path: "README.md").path): ") && outcome.errors.contains("; the images are dropped"))
        #expect(!outcome.errors.contains("chat["))
        #expect(server.stop() == 0)
    }

    @Test func answersAreStreamedAndTimed() throws {
        let space = try Workspace()
        let artifact = try space.compile(Workspace.demoModel)
        let outcome = try space.vlmc("run", artifact, "--interactive", "--max-tokens", "12", input: "Hello!\n/quit\nNever asked.\n")
        #expect(outcome.status == 0 && outcome.output.hasSuffix("\n") && outcome.output.split(separator: "\n").count == 1)
        #expect(outcome.errors.contains("ready after "))
        #expect(outcome.errors.contains(/\d+ prompt tokens; first token \d+\.\d\d s, \d+ tokens at \d+\.\d tokens\/s/))
        #expect(outcome.errors.ranges(of: " prompt tokens").count == 1)
    }

    /// The draw and its bounds are the server's.
    @Test func flagsSayHowTokensAreChosen() async throws {
        let space = try Workspace()
        let artifact = try space.compile(Workspace.demoModel, "--precision", "exact")
        let server = try Server(artifact)
        let flags = ["--temperature", "1.5", "--top-p", "0.9", "--top-k", "50", "--min-p", "0.01", "--repetition-penalty", "1.2", "--seed", "11", "--stop", "."]
        let run = try Command("vlmc", ["run", artifact, "What do you see?", "--max-tokens", "0.04k"] + flags).run()
        let fields: [String: Any] = [
            "temperature": 1.5, "top_p": 0.9, "top_k": 50, "min_p": 0.01, "repetition_penalty": 1.2, "seed": 11, "stop": ".", "max_tokens": 40,
        ]
        let expected = try await chat(server, [["role": "user", "content": "What do you see?"]], fields).text
        #expect(run.output == expected + "\n")
        #expect(server.stop() == 0)
    }

    @Test(arguments: [
        (["--top-p", "0", "hi"], "--top-p must be above 0 and at most 1"), (["--max-tokens", "0", "hi"], "--max-tokens must be at least 1"),
        (["--interactive", "hi"], "--interactive reads questions from stdin"), ([], "give a question, or --interactive"),
    ])
    func wrongUsageIsSaid(_ flags: [String], _ words: String) throws {
        let outcome = try Command("vlmc", ["run", "nowhere"] + flags).run()
        #expect(outcome.status == 64 && outcome.errors.contains(words), "\(outcome.errors)")
    }

    /// Ctrl-C stops an answer and not the program.
    @Test func interruptsStopTheAnswer() throws {
        let space = try Workspace()
        let artifact = try space.compile(Workspace.demoModel)
        let script = """
            set -m; mkfifo \(space.path("in")); vlmc run '\(artifact)' --interactive --min-tokens 3500 --max-tokens 3500 <\(space.path("in")) 2>\(space.path("err")) &
            exec 3>\(space.path("in")); until grep -q ready \(space.path("err")); do sleep 0.05; done
            kill -INT $!; sleep 0.2; echo 'Hello!' >&3; until grep -q 'tokens\\|stopped' \(space.path("err")); do kill -INT $!; sleep 0.05; done
            exec 3>&-; wait $!; echo "status $?"; cat \(space.path("err"))
            """
        let outcome = try Command(shell: script).run()
        #expect(outcome.output.contains("status 0") && outcome.output.contains("stopped"), "\(outcome.output)\(outcome.errors)")
    }
}
