internal import JSON

/// Most images and videos of one request, as vLLM's `--limit-mm-per-prompt` says it: `image=2,video=0`, or JSON such as `{"image": 2}` and
/// `{"image": {"count": 2}}`.
package struct MediaLimits: Sendable, Equatable {
    /// Nil for as many as fit.
    package private(set) var images: Int?
    package private(set) var videos: Int?
    /// None are taken, however many may be.
    package private(set) var audios: Int?

    /// What of them has no effect; nil where all have one.
    package var note: String? { audios.flatMap { $0 > 0 ? "audio=\($0) has no effect: no audio is taken" : nil } }

    package init(_ text: String) throws(FlagError) {
        for (kind, count) in try Self.counts(text) {
            switch kind {
            case "image": images = count
            case "video": videos = count
            case "audio": audios = count
            default: throw FlagError("\(text): \(kind) is none of image, video, audio")
            }
        }
    }

    private static func counts(_ text: String) throws(FlagError) -> [(String, Int)] {
        var counts: [(String, Int)] = []
        guard text.hasPrefix("{") else {
            for part in text.split(separator: ",", omittingEmptySubsequences: false) {
                let sides = part.split(separator: "=", omittingEmptySubsequences: false).map(String.init)
                guard sides.count == 2, let count = Int(sides[1]), count >= 0 else { throw wrong(text) }
                counts.append((sides[0], count))
            }
            return counts
        }
        guard let object = (try? JSONValue(parsing: Array(text.utf8)))?.objectValue else { throw wrong(text) }
        for (kind, value) in object {
            guard let count = value.intValue ?? value["count"]?.intValue, count >= 0 else { throw wrong(text) }
            counts.append((kind, count))
        }
        return counts
    }

    private static func wrong(_ text: String) -> FlagError {
        FlagError(#"\#(text) is neither image=2 nor JSON such as {"image": 2}, with whole numbers of at least 0"#)
    }
}
