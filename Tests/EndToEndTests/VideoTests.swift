import Foundation
import Testing

/// Videos beside what transformers computed, through the programs that people use.
@Suite struct VideoTests {
    private static let folder = Workspace.repository.appending(path: "Tests/Families/Videos")
    private static let media = folder.appending(path: "_media")

    private static let records: [URL] = {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.sorted().map { folder.appending(path: $0) }.filter { $0.lastPathComponent != "_media" }
    }()

    /// The model of a record, with the record's processor for videos.
    private static func model(of record: URL, in space: Workspace) throws -> String {
        let name = record.lastPathComponent.split(separator: ".")[0]
        let model = space.path(String(name))
        try FileManager.default.copyItem(atPath: Workspace.repository.appending(path: "Tests/Families/Fixtures/\(name)").path, toPath: model)
        try Data(contentsOf: record.appending(path: "processor_config.json")).write(to: URL(fileURLWithPath: "\(model)/processor_config.json"))
        return model
    }

    @Test(arguments: records) func equalsTransformers(_ record: URL) throws {
        let space = try Workspace()
        let artifact = try space.compile(try Self.model(of: record, in: space), "--precision", "exact")
        let outcome = try space.vlmc("parity", artifact, "--reference", record.path)
        #expect(outcome.status == 0, "\(record.lastPathComponent):\n\(outcome.output)\(outcome.errors)")
        #expect(outcome.output.contains("video pixels") && outcome.output.contains("video features"))
    }

    private static func url(_ name: String, _ type: String) throws -> String {
        "data:\(type);base64," + (try Data(contentsOf: media.appending(path: name)).base64EncodedString())
    }

    private static func body(_ parts: [[String: Any]], _ more: [String: Any] = [:]) throws -> Data {
        let text: [String: Any] = ["type": "text", "text": "12 naïve cafés —\nor 5?"]
        let body: [String: Any] = [
            "model": "m", "temperature": 0, "max_tokens": 8, "ignore_eos": true, "return_token_ids": true,
            "messages": [["role": "user", "content": parts + [text]]],
        ]
        return try JSONSerialization.data(withJSONObject: body.merging(more) { $1 })
    }

    private struct Reply: Decodable {
        struct Usage: Decodable { let prompt_tokens: Int }
        struct Fault: Decodable {
            let message: String
            let code: String?
        }
        struct Choice: Decodable {
            struct Message: Decodable { let content: String }
            let message: Message
        }
        let usage: Usage?
        let error: Fault?
        let choices: [Choice]?

        var text: String { choices?.first?.message.content ?? "" }
    }

    private static func ask(_ server: Server, _ parts: [[String: Any]], _ more: [String: Any] = [:]) async throws -> Reply {
        try JSONDecoder().decode(Reply.self, from: await server.chat(body(parts, more)))
    }

    private static func served(_ name: String, _ flags: String..., space: Workspace) throws -> Server {
        let model = try model(of: folder.appending(path: name), in: space)
        let artifact = try space.compile(model, "--precision", "exact")
        return try Server(artifact, ["--served-model-name", "m"] + flags)
    }

    @Test func everyFormOfAVideoIsOneVideo() async throws {
        let space = try Workspace()
        let server = try Self.served("qwen2_5_vl.frames", "--allowed-local-media-path", Self.media.path, space: space)
        let urls = try (0..<5).map { try Self.url("frame\($0).png", "image/png") }
        let list = try await Self.ask(server, [["type": "video", "video": urls]])
        #expect(list.usage?.prompt_tokens == 96)
        let joined = "data:video/jpeg;base64," + urls.map { $0.split(separator: ",")[1] }.joined(separator: ",")
        let ofFrames = try await Self.ask(server, [["type": "video_url", "video_url": ["url": joined]]])
        let ofPaths = try await Self.ask(server, [["type": "video", "video": (0..<5).map { "file://\(Self.media.path)/frame\($0).png" }]])
        #expect(ofFrames.text == list.text && ofPaths.text == list.text && !list.text.isEmpty)
        let clip = try Self.url("clip.mp4", "video/mp4")
        let file = try await Self.ask(server, [["type": "video_url", "video_url": ["url": clip]]])
        #expect(file.usage?.prompt_tokens == 90)
        let local = try await Self.ask(server, [["type": "video_url", "video_url": ["url": "file://\(Self.media.path)/clip.mp4"]]])
        #expect(local.text == file.text)
        let more = try await Self.ask(server, [["type": "video_url", "video_url": ["url": clip]]], ["mm_processor_kwargs": ["num_frames": 8]])
        let nearer = try await Self.ask(server, [["type": "video_url", "video_url": ["url": clip], "num_frames": 8]], ["mm_processor_kwargs": ["fps": 1]])
        #expect(more.usage?.prompt_tokens == 102 && nearer.text == more.text)
        #expect(server.stop() == 0)
    }

    /// The directory's processor gives frames more pixels than its images have at most.
    @Test func framesMayBecomeLargerThanImages() async throws {
        let space = try Workspace()
        let model = Workspace.repository.appending(path: "Tests/Families/Fixtures/qwen2_vl").path
        let server = try Server(try space.compile(model, "--precision", "exact"), "--served-model-name", "m")
        let reply = try await Self.ask(server, [["type": "video", "video": try (0..<5).map { try Self.url("frame\($0).png", "image/png") }]])
        #expect(reply.usage?.prompt_tokens == 498 && !reply.text.isEmpty, "\(reply.error?.message ?? "")")
        #expect(server.stop() == 0)
    }

    @Test func whatIsNoVideoIsRefused() async throws {
        let space = try Workspace()
        let server = try Self.served("qwen2_vl.frames", "--limit-mm-per-prompt", "video=1", space: space)
        let clip = try Self.url("clip.mp4", "video/mp4")
        let bytes = try Data(contentsOf: Self.media.appending(path: "clip.mp4"))
        func base64(_ data: Data) -> String { "data:video/mp4;base64,\(data.base64EncodedString())" }
        let part = { (url: String) in ["type": "video_url", "video_url": ["url": url]] as [String: Any] }
        let cases: [([[String: Any]], String)] = [
            ([part(base64(Data("no video at all, but some words".utf8)))], "the video is no file of a kind that is decoded"),
            ([part(base64(bytes.prefix(900)))], "messages[0].content[0]: the video is damaged or cut off"),
            ([part("data:video/mp4;base64,")], "messages[0].content[0]: the video has 0 bytes"),
            ([part(clip), part(clip)], "messages hold 2 videos, more than 1 (--limit-mm-per-prompt)"),
            ([["type": "video", "video": [String]()]], "messages[0].content[0]: the video has no frames"),
            ([["type": "video", "video": [try Self.url("frame0.png", "image/png"), "data:image/png;base64,AAAA"]]], "messages[0].content[0]: the image is not a"),
            ([part("http://127.0.0.1/clip.mp4")], "messages[0].content[0]:"),
            ([["type": "video_url", "video_url": ["url": clip, "num_frames": 40]]], "the video has 23 frames, and 40 are asked for (num_frames)"),
            ([["type": "video_url", "video_url": ["url": clip, "fps": 0]]], "fps must be a number above 0"),
        ]
        for (parts, words) in cases {
            let message = try await Self.ask(server, parts).error?.message ?? ""
            #expect(message.contains(words), "\(words): \(message)")
        }
        #expect(try await Self.ask(server, [part(base64(bytes.prefix(900)))]).error?.code == "invalid_video")
        #expect(try await Self.ask(server, [part("http://127.0.0.1/clip.mp4")]).error?.code == "invalid_video_url")
        #expect(try await Self.ask(server, [part(clip)]).error == nil)
        #expect(server.stop() == 0)
        // A model whose directory has no processor for its videos.
        let other = try Server(try space.compile(Workspace.repository.appending(path: "Tests/Families/Fixtures/gemma3").path), "--served-model-name", "m")
        let message = try await Self.ask(other, [part(clip)]).error?.message ?? ""
        #expect(message == "messages[0].content[0]: the video cannot be read: the model takes no videos", "\(message)")
        #expect(other.stop() == 0)
    }

    /// Why a directory's processor for videos does not fit is told by the compiler, by doctor and show, and by the server.
    @Test(arguments: [
        ("patch_size", 7, "processor_config.json: video_processor.patch_size is 7, but 14 for images"),
        ("image_mean", [0.1, 0.2, 0.3], "processor_config.json: video_processor.image_mean and image_std are not those of images"),
        ("video_processor_type", "OtherVideoProcessor", "processor_config.json: video_processor.video_processor_type is \"OtherVideoProcessor\"; the known type for this model is Qwen2VLVideoProcessor"),
        ("resample", "best", "processor_config.json: video_processor.resample must be 0 (nearest-exact), 1 (lanczos), 2 (bilinear) or 3 (bicubic), or one of these names, or nearest"),
    ] as [(String, any Sendable, String)]) func aProcessorThatDoesNotFitIsTold(_ key: String, _ value: any Sendable, _ words: String) async throws {
        let space = try Workspace()
        let model = try Self.model(of: Self.folder.appending(path: "qwen2_vl.frames"), in: space)
        let path = URL(fileURLWithPath: "\(model)/processor_config.json")
        var config = try #require(JSONSerialization.jsonObject(with: Data(contentsOf: path)) as? [String: Any])
        var processor = try #require(config["video_processor"] as? [String: Any])
        processor[key] = value
        config["video_processor"] = processor
        try JSONSerialization.data(withJSONObject: config).write(to: path)
        let compiled = try space.vlmc("compile", model, "--precision", "exact")
        #expect(compiled.status == 0 && compiled.errors.contains("takes no videos: \(words). Requests with videos will be refused"), "\(compiled.errors)")
        let artifact = compiled.output.trimmingCharacters(in: .newlines)
        #expect(try space.cache("show", artifact).output.contains("takes     text, images; no videos: \(words)\n"))
        let doctor = try space.vlmc("doctor", model)
        #expect(doctor.status == 0 && doctor.output.contains("takes         text, images; no videos: \(words)\n"), "\(doctor.output)")
        #expect(doctor.output.contains("takes no videos: \(words)."))
        guard key == "patch_size" else { return }
        let server = try Server(artifact, "--served-model-name", "m")
        let part: [String: Any] = ["type": "video_url", "video_url": ["url": try Self.url("clip.mp4", "video/mp4")]]
        let message = try await Self.ask(server, [part]).error?.message
        #expect(message == "messages[0].content[0]: the video cannot be read: the model takes no videos (\(words))")
        #expect(server.stop() == 0)
    }

    /// A model takes no videos whose chat template has no place for them, which doctor and show tell.
    @Test(arguments: [
        ("{%- for m in messages %}{% for p in m.content %}{% if p.type == 'text' %}{{ p.text }}{% elif p.type == 'image' %}<|image_pad|>{% else %}{{ raise_exception('no ' ~ p.type) }}{% endif %}{% endfor %}{% endfor %}", "chat_template.jinja refuses a part of type video: no video"),
        ("{%- for m in messages %}{% for p in m.content %}{% if p.type == 'text' %}{{ p.text }}{% elif p.type == 'image' %}<|image_pad|>{% endif %}{% endfor %}{% endfor %}", "chat_template.jinja writes no <|video_pad|> for a part of type video"),
    ]) func aTemplateWithoutVideosIsTold(_ template: String, _ words: String) throws {
        let space = try Workspace()
        let model = try Self.model(of: Self.folder.appending(path: "qwen2_vl.frames"), in: space)
        #expect(try space.vlmc("doctor", model).output.contains("takes         text, images, videos\n"))
        try? FileManager.default.removeItem(atPath: "\(model)/chat_template.json")
        try Data(template.utf8).write(to: URL(fileURLWithPath: "\(model)/chat_template.jinja"))
        let doctor = try space.vlmc("doctor", model)
        #expect(doctor.status == 0 && doctor.output.contains("takes         text, images; no videos: \(words)"), "\(doctor.output)")
        let artifact = try space.compile(model, "--precision", "exact")
        #expect(try space.cache("show", artifact).output.contains("takes     text, images; no videos: \(words)"))
    }

    /// A file by bytes, and how the decoder ends over it with these bounds.
    private static func decoder(_ file: String, _ bounds: [Int], _ indices: [Int] = []) throws -> Command.Outcome {
        try Command(shell: "vlm-video-frames \((bounds + indices).map(String.init).joined(separator: " ")) < \(file) | head -c 100000000 | wc -c; exit ${PIPESTATUS[0]}")
            .run()
    }

    /// The frame of that number as `vlm-video-frames` puts it out: its size and its pixels.
    private static func frame(_ index: Int, of file: String) throws -> (width: Int, height: Int, pixels: [UInt8]) {
        let line = "vlm-video-frames 2147483648 30 1048576 1000 100 \(index) < \(file) | od -An -v -tu1"
        let bytes = try Command(shell: line).run().output.split(whereSeparator: \.isWhitespace).compactMap { UInt8($0) }
        func number(_ start: Int) -> Int { bytes[start..<start + 4].reversed().reduce(0) { $0 << 8 | Int($1) } }
        guard bytes.count > 12 else { return (0, 0, []) }
        return (number(4), number(8), Array(bytes[12...]))
    }

    /// A display matrix turns frames as torchcodec does, by the nearest quarter turns and without mirroring; the numbers are what it gave.
    @Test(arguments: [
        ([0, 1, -1, 0], 3), ([-1, 0, 0, -1], 2), ([0, -1, 1, 0], 1), ([-1, 0, 0, 1], 2), ([1, 0, 0, -1], 0), ([0, 1, 1, 0], 3), ([0, 0, 0, 0], 0),
        ([0.866, 0.5, -0.5, 0.866], 0), ([0.5, 0.866, -0.866, 0.5], 3),
    ] as [([Double], Int)]) func framesStandUpright(_ matrix: [Double], _ quarterTurns: Int) throws {
        let space = try Workspace()
        var file = try Data(contentsOf: Self.media.appending(path: "clip.mp4"))
        let header = try #require(file.range(of: Data("tkhd".utf8))).lowerBound
        for (place, value) in zip([0, 1, 3, 4], matrix) {
            withUnsafeBytes(of: Int32(value * 65536).bigEndian) { file.replaceSubrange(header + 44 + 4 * place..<header + 48 + 4 * place, with: $0) }
        }
        let path = space.path("turned.mp4")
        try file.write(to: URL(fileURLWithPath: path))
        let (plain, turned) = (try Self.frame(3, of: Self.media.appending(path: "clip.mp4").path), try Self.frame(3, of: path))
        var expected = plain
        for _ in 0..<quarterTurns {
            let (width, height) = (expected.height, expected.width)
            let pixels = (0..<width * height).flatMap { index in
                let (row, column) = (index / width, index % width)
                let from = 3 * (column * expected.width + expected.width - 1 - row)
                return expected.pixels[from..<from + 3]
            }
            expected = (width, height, pixels)
        }
        #expect(plain.pixels.count == 3 * 96 * 64 && turned == expected)
        let facts = try Command(shell: "vlm-video-frames 2147483648 30 1048576 1000 100 < \(path)").run().output
        #expect(facts == "\(expected.width) \(expected.height) 23 12500 1001\n")
    }

    @Test func theDecoderKeepsItsBounds() throws {
        let clip = Self.media.appending(path: "clip.mp4").path
        let usual = [2 << 30, 30, 1 << 20, 1000, 100]
        #expect(try Self.decoder(clip, usual).status == 0)
        let frames = try Self.decoder(clip, usual, [0, 22, 22])
        #expect(frames.status == 0 && Int(frames.output.trimmingCharacters(in: .whitespacesAndNewlines)) == 3 * (12 + 3 * 96 * 64))
        func changed(_ index: Int, to value: Int) -> [Int] { usual.enumerated().map { $0.offset == index ? value : $0.element } }
        #expect(try Self.decoder(clip, changed(2, to: 96 * 64 - 1)).status == 6)
        #expect(try Self.decoder(clip, changed(3, to: 22)).status == 7)
        #expect(try Self.decoder(clip, changed(4, to: 1)).status == 8)
        #expect(try Self.decoder(clip, changed(0, to: 1)).status != 0)
        #expect(try Self.decoder("/etc/passwd", usual).status == 3)
        // A list of other files names files that nothing opens.
        let space = try Workspace()
        let list = space.path("list.m3u8")
        try Data("#EXTM3U\n#EXTINF:1,\nfile://\(clip)\n".utf8).write(to: URL(fileURLWithPath: list))
        #expect(try Self.decoder(list, usual).status == 3)
        #expect(try Command("vlm-video-frames", []).run().status == 2)
    }
}
