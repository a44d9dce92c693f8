import Inputs
import JSON
import Testing

struct PromptImageTests {
    @Test(arguments: [
        ("", []), ("aGk=", [104, 105]), ("aGk", [104, 105]), ("aG\r\nkh", [104, 105, 33]), ("-_-_", [251, 255, 191]),
        ("+/+/", [251, 255, 191]), ("aA==", [104]), ("aGkh=", [104, 105, 33]), ("aGk===\n", [104, 105]),
    ] as [(String, [UInt8])])
    func base64Decodes(_ text: String, _ bytes: [UInt8]) {
        #expect(Base64.decode(text.utf8) == bytes)
    }

    @Test(arguments: ["a", "aGk=a", "a===", "aGk*", "é"])
    func brokenBase64IsRefused(_ text: String) {
        #expect(Base64.decode(text.utf8) == nil)
    }

    @Test(arguments: [
        ("data:image/png;base64,aGk=", .bytes([104, 105])), ("data:image;BASE64,aGk", .bytes([104, 105])),
        (" data:image/png; base64, %2B%2f-_aGk%3D", .bytes([251, 255, 191, 104, 105])), ("data:;base64,+/-_", .bytes([251, 255, 191])),
        ("https://example.org/a.png", .remote("https://example.org/a.png")), ("a b.png", .file("a b.png")),
        ("file:///tmp/a%20b.png", .file("/tmp/a b.png")), ("file://LOCALHOST/a", .file("/a")), ("file:/a", .file("/a")), ("/tmp/c:d.png", .file("/tmp/c:d.png")),
    ] as [(String, ImageSource)])
    func locationsAreUnderstood(_ text: String, _ source: ImageSource) throws {
        #expect(try ImageSource(location: text) == source)
    }

    @Test(arguments: ["", "data:image/png", "data:image/png,abc", "data:image/png;base64,###", "data:;base64,aG%", "file:///a%ZZ", "file://somehost/a", "file://localhost.x/a", "file://localhost"])
    func badLocationsAreErrors(_ text: String) {
        #expect(throws: ImageSourceError.self) { try ImageSource(location: text) }
    }

    @Test func imagesComeInOrderFromEveryKindOfPart() throws {
        let messages: [JSONValue] = [
            ["role": "system", "content": "plain"],
            ["role": "user", "content": [
                ["type": "text", "text": "see"], ["type": "image", "image": "a.png"],
                ["type": "image_url", "image_url": ["url": "b.png", "detail": "high"]],
            ]],
            ["role": "user", "content": [
                ["type": "image_url", "image_url": "c.png"], ["type": "input_image", "image_url": "d.png"],
                ["type": "image", "base64": "aGk="], ["type": "image", "path": "e.png"],
            ]],
        ]
        let found = try MediaReference.all(in: messages)
        #expect(found.map(\.media) == [
            .image(.file("a.png")), .image(.file("b.png")), .image(.file("c.png")), .image(.file("d.png")), .image(.bytes([104, 105])), .image(.file("e.png")),
        ])
        #expect(found.map(\.message) == [1, 1, 2, 2, 2, 2])
        #expect(found.map(\.part) == [1, 2, 0, 1, 2, 3])
    }

    @Test(arguments: [
        (["role": "user", "content": [["type": "video"]]], "messages[1].content[0]: a part of type video has no video"),
        (["role": "user", "content": [["type": "video", "video": "a", "path": "b"]]], "messages[1].content[0]: a part has several videos"),
        (["role": "user", "content": [["type": "video", "video": []]]], "messages[1].content[0]: the video has no frames"),
        (["role": "user", "content": [["type": "video", "video": 3]]], "messages[1].content[0]: video must be a string"),
        (["role": "user", "content": [["type": "video", "video": "a", "fps": 0]]], "messages[1].content[0]: fps must be a number"),
        (["role": "user", "content": [["type": "text", "text": "x"], ["type": "audio"]]], "messages[1].content[1]: parts of type audio"),
        (["role": "user", "content": [["text": "x"]]], "messages[1].content[0]: a part needs a type"),
        (["role": "user", "content": ["x"]], "messages[1].content[0]: a part must be an object"),
        (["role": "user", "content": [["type": "image"]]], "messages[1].content[0]: a part of type image has no image"),
        (["role": "user", "content": [["type": "image", "image": "a.png", "url": "b.png"]]], "messages[1].content[0]: a part has several images, in image and url"),
        (["role": "user", "content": [["type": "image", "base64": 3]]], "messages[1].content[0]: base64 must be a string"),
        (["role": "user", "content": 3], "messages[1].content must be a string or a list of parts, not an integer"),
        (["role": "user", "content": ["type": "text"]], "messages[1].content must be a string or a list of parts, not an object"),
        ("x", "messages[1]: a message must be an object, not a string"),
        ([["role": "user"]], "messages[1]: a message must be an object, not a list"),
    ] as [(JSONValue, String)])
    func whatIsNoPartIsRefused(_ message: JSONValue, _ words: String) {
        let error = #expect(throws: ImageSourceError.self) {
            try MediaReference.all(in: [["role": "user", "content": "x"], message])
        }
        #expect(error?.message == 1)
        #expect(error?.description.hasPrefix(words) == true, "\(error?.description ?? "")")
    }

    @Test func videosAreFilesOrFrames() throws {
        let messages: [JSONValue] = [
            ["role": "user", "content": [
                ["type": "video", "video": "a.mp4", "num_frames": 4], ["type": "image", "image": "b.png"],
                ["type": "video_url", "video_url": ["url": "c.mp4", "fps": 1], "fps": 9], ["type": "video", "video": ["d.png", ["url": "e.png"]]],
                ["type": "video", "base64": "aGk="],
            ]]
        ]
        let found = try MediaReference.all(in: messages)
        let videos = found.compactMap { if case .video(let video) = $0.media { video } else { nil } }
        #expect(found.map(\.part) == [0, 1, 2, 3, 4])
        #expect(videos.map(\.sources) == [[.file("a.mp4")], [.file("c.mp4")], [.file("d.png"), .file("e.png")], [.bytes([104, 105])]])
        #expect(videos.map(\.isFrames) == [false, false, true, false])
        #expect(videos.map(\.sampling.count) == [4, nil, nil, nil] && videos.map(\.sampling.rate) == [nil, 1, nil, nil])
    }

    @Test func partsWithoutImagesAreNone() throws {
        let messages: [JSONValue] = [
            ["role": "user"], ["role": "user", "content": .null], ["role": "user", "content": ""],
            ["role": "user", "content": [["type": "text", "text": "x"]]],
            ["role": "user", "content": [["type": "image", "image": .null, "url": "a.png"]]],
        ]
        #expect(try MediaReference.all(in: messages).map(\.place) == ["messages[4].content[0]"])
    }

    @Test func anErrorNamesItsPart() {
        let messages: [JSONValue] = [["content": [["type": "text", "text": "x"], ["type": "image_url", "image_url": 3]]]]
        do {
            _ = try MediaReference.all(in: messages)
            Issue.record("accepted")
        } catch {
            #expect(error.message == 0)
            #expect(error.part == 1)
            #expect(error.description.contains("messages[0].content[1]"))
        }
    }
}
