import Budgets
import Foundation
import Inputs
import Seeded
import VideoDecoding

extension FuzzTarget {
    /// Video files: each is refused, or gives frames of the size that it says, in the end of its time; neither processes nor descriptors are left.
    static let video = FuzzTarget("video", secondsMax: 2) { dice, corpus in
        ByteMutation.apply(dice.pick(corpus) ?? [], &dice, corpus: corpus, words: videoWords)
    } check: { input in
        guard var program = FrameProgram.sibling() else { throw Finding("vlm-video-frames does not lie beside this program") }
        (program.limits.memoryBytes, program.limits.cpuSeconds, program.limits.wallSeconds) = (512 << 20, 2, 10)
        (program.limits.pixels, program.limits.frames) = (1 << 18, 1 << 12)
        let began = ContinuousClock.now
        var fault: String?
        do throws(ImageError) { fault = try readSome(of: input, program) } catch {
            // A refusal is an answer, but not one of a decoder that is not there.
            if "\(error)".contains("cannot be decoded") { throw Finding("\(error)") }
        }
        if let fault { throw Finding(fault) }
        let seconds = (ContinuousClock.now - began) / .seconds(1)
        // A look for the facts, and one for frames.
        guard seconds < 2 * program.limits.wallSeconds + 5 else { throw Finding("takes \(seconds) s, beyond the bounds of its process") }
        try FrameProcessRemains.check()
    }

    /// What is wrong with some frames of the file; nil where nothing is.
    private static func readSome(of input: [UInt8], _ program: FrameProgram) throws(ImageError) -> String? {
        let budget = WorkBudget.generous()
        let facts = try program.facts(of: input, budget: budget)
        let last = facts.frameCount - 1
        let indices = [0, last / 2, last]
        let frames = try program.frames(indices, of: input, facts, budget: budget)
        for _ in indices {
            let image = try frames.next()
            guard image.width == facts.width, image.height == facts.height, image.pixels.count == 3 * image.width * image.height else {
                return "a frame has \(image.width)×\(image.height) pixels in \(image.pixels.count) bytes, of a file of \(facts.width)×\(facts.height)"
            }
        }
        return nil
    }

    private static let videoWords = [
        "ftyp", "moov", "mvhd", "trak", "tkhd", "mdia", "stsd", "stts", "stsz", "stco", "co64", "ctts", "elst", "mdat", "free", "avc1", "avcC", "hev1", "mp4v", "qt  ",
        "RIFF", "AVI ", "LIST", "idx1", "\u{1A}E", "OggS", "GIF89a", "FLV\u{1}", "webm", "G@", "#EXTM3U", "http://127.0.0.1/", "file:///etc/passwd", "\u{0}\u{0}\u{0}\u{1}",
        "\u{0}\u{0}\u{0}\u{0}", "\u{7F}\u{7F}\u{7F}\u{7F}", "rotate",
    ]
}

/// What looks at videos may have left in this process.
private enum FrameProcessRemains {
    /// More pipes than other work has open at once.
    private static let pipesMax = 64

    /// Other work of this process may have a look at a video under way, but not for long.
    static func check() throws {
        let end = ContinuousClock.now + .seconds(10)
        while let found = try found() {
            guard ContinuousClock.now < end else { throw Finding(found) }
            usleep(20_000)
        }
    }

    private static func found() throws -> String? {
        let descriptors = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap {
            try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")
        }
        if descriptors.contains(where: { $0.hasPrefix("/memfd:video") }) { return "the file's descriptor is left open" }
        let pipes = descriptors.count { $0.hasPrefix("pipe:") }
        if pipes > pipesMax { return "\(pipes) pipes are open" }
        for process in try FileManager.default.contentsOfDirectory(atPath: "/proc") where Int(process) != nil {
            // Number, name in parentheses, state, parent.
            let status = (try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)) ?? ""
            let words = status.split(separator: " ").prefix(4)
            if words.count == 4, words[1].hasPrefix("(vlm-video-frame"), words[3] == "\(getpid())" { return "process \(process) is left in state \(words[2])" }
        }
        return nil
    }
}
