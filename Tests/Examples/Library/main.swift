import Foundation
import VLMRuntime

/// Describes images, asks a second question about them, and says what the model computed.
let arguments = CommandLine.arguments.dropFirst()
guard let path = arguments.first, arguments.count > 1 else {
    print("usage: library-example ARTIFACT IMAGE …")
    exit(64)
}
let images = arguments.dropFirst().map { UserInput.Image.url(URL(fileURLWithPath: $0)) }

// An artifact is what `vlmc compile` makes of a model directory.
let model = try await loadModelContainer(directory: URL(fileURLWithPath: path))

// One question; the answer is read as it grows. Leaving the loop ends the request.
let parameters = GenerateParameters(maxTokens: 64, temperature: 0)
for try await piece in try await model.generate(prompt: "Describe the image.", images: Array(images.prefix(1)), parameters: parameters) {
    switch piece {
    case .chunk(let text): print(text, terminator: "")
    case .token: break
    case .info(let info): print("\n\(info.promptTokenCount) + \(info.generationTokenCount) tokens, ended by \(info.stopReason)")
    }
}

// A conversation, of which each turn computes only what is new.
let chat = ChatSession(model, generateParameters: parameters)
print(try await chat.respond(to: "What do you see?", images: Array(images.prefix(1))))
print(try await chat.respond(to: "Describe the image."))

// Many questions are computed together; one that fails does not touch the others.
let inputs = images.map { UserInput(prompt: "What do you see?", images: [$0]) }
for result in await model.generate(batch: inputs, parameters: parameters) {
    switch result {
    case .success(let answer): print(answer.text)
    case .failure(let error): print("failed: \(error)")
    }
}

// What the decoder reads of an image.
for embeddings in try await model.imageEmbeddings(of: images) { print("\(embeddings.rows) rows of \(embeddings.width)") }
