import Budgets
import Foundation
import Inputs
import Testing
import VideoDecoding

/// Whatever becomes of the program that decodes is an error of the file.
@Suite struct FrameProgramTests {
    /// A program in place of the decoder, removed at the end.
    final class Script {
        let path = FileManager.default.temporaryDirectory.appending(path: "frames-\(UUID().uuidString).sh").path

        /// Another process writes the file: one that this process has open for writing is busy in whatever other tests start meanwhile.
        init(_ text: String) throws {
            let writer = Process()
            writer.executableURL = URL(fileURLWithPath: "/bin/sh")
            writer.arguments = ["-c", #"printf '#!/bin/sh\n%s\n' "$1" >"$0" && chmod 700 "$0""#, path, text]
            try writer.run()
            writer.waitUntilExit()
        }

        deinit { try? FileManager.default.removeItem(atPath: path) }

        func fault(wallSeconds: Double = 20, budget: WorkBudget = .generous()) -> String {
            var program = FrameProgram(path: path)
            program.limits.wallSeconds = wallSeconds
            do throws(ImageError) { return "\(try program.facts(of: [1, 2, 3], budget: budget))" } catch { return "\(error)" }
        }
    }

    @Test(arguments: [
        ("exit 3", "the video is no file of a kind that is decoded: MP4, WebM, Matroska, AVI, MPEG, FLV, Ogg, ASF or GIF"),
        ("exit 4", "the video has no pictures"), ("exit 9", "the video is damaged or cut off; send the whole file, or code it anew with another program"),
        ("kill -SEGV $$", "the video ended its decoder by signal 11; code it anew with another program"),
        ("kill -24 $$", "the video takes too long to decode; send a shorter one, or one of fewer pixels"),
        ("exit 0", "the video is damaged or cut off; send the whole file, or code it anew with another program"),
        ("echo 1 2 three 4 5", "the video is damaged or cut off; send the whole file, or code it anew with another program"),
        ("echo 0 2 3 4 5", "the video is damaged or cut off; send the whole file, or code it anew with another program"),
    ]) func everyEndIsTold(_ script: String, _ words: String) throws {
        #expect(try Script(script).fault() == words)
    }

    @Test func whatItSaysIsRead() throws {
        let script = try Script("cat >/dev/null; echo 6 4 2 25 2")
        let facts = try FrameProgram(path: script.path).facts(of: [0], budget: .generous())
        #expect(facts == VideoFacts(width: 6, height: 4, frameCount: 2, rate: 12.5))
    }

    @Test func itSeesTheFileAndNothingElse() throws {
        // Open descriptors, names in the environment and the file's bytes.
        let script = try Script("echo $(ls /proc/$$/fd | wc -l) $(tr -cd = </proc/$$/environ | wc -c | sed s/0/7/) $(wc -c) 1 1")
        let facts = try FrameProgram(path: script.path).facts(of: Array(repeating: 0, count: 70_000), budget: .generous())
        // Beside the three, the shell has its script open, and one or both ends of what the command writes.
        #expect(facts.frameCount == 70_000 && facts.width <= 6 && facts.height == 7, "\(facts)")
    }

    @Test func aHangEnds() throws {
        let script = try Script("exec sleep 600")
        let began = ContinuousClock.now
        #expect(script.fault(wallSeconds: 0.3).contains("takes too long"))
        let budget = WorkBudget(cpuLimit: .seconds(60), deadline: .now + .milliseconds(300))
        #expect(script.fault(budget: budget) == "the request waited too long for its turn")
        #expect(ContinuousClock.now - began < .seconds(10))
    }

    @Test func framesAreReadOneByOne() throws {
        // Two frames of 1 × 2 pixels; then the output ends.
        let frame = "printf 'FRM1\\001\\000\\000\\000\\002\\000\\000\\000abcdef'"
        let script = try Script("\(frame); \(frame); exit 10")
        let facts = VideoFacts(width: 1, height: 2, frameCount: 9, rate: 1)
        let frames = try FrameProgram(path: script.path).frames([0, 1, 2], of: [0], facts, budget: .generous())
        for _ in 0..<2 { #expect(try frames.next() == Image(width: 1, height: 2, pixels: Array("abcdef".utf8))) }
        #expect(throws: ImageError.video("takes more memory to decode than it may; send one of fewer pixels")) { try frames.next() }
        var other = facts
        other.height = 3
        let unlike = try FrameProgram(path: script.path).frames([0], of: [0], other, budget: .generous())
        #expect(throws: ImageError.video("changes its size to 1×2 pixels; code it anew with one size")) { try unlike.next() }
    }

    @Test func aProgramThatIsNotThereIsAnError() {
        let program = FrameProgram(path: "/nowhere/vlm-video-frames")
        #expect(throws: ImageError.video("cannot be decoded: /nowhere/vlm-video-frames: No such file or directory")) {
            try program.facts(of: [1], budget: .generous())
        }
        #expect(throws: ImageError.video("has 0 bytes")) { try program.facts(of: [], budget: .generous()) }
    }
}
