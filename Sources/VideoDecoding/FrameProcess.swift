internal import Budgets
internal import CFrameProcess
@preconcurrency internal import Glibc
internal import Inputs

/// A run of `vlm-video-frames` over one file, which ends with this value at the latest.
final class FrameProcess {
    private let process: pid_t
    /// The end of its output that is read.
    private let output: Int32
    private let budget: WorkBudget
    private let deadline: ContinuousClock.Instant
    private var isOver = false

    /// How often a wait looks whether it is still wanted.
    private static let tickMilliseconds: Int32 = 50

    init(_ program: String, _ arguments: [String], file: [UInt8], budget: WorkBudget, deadline: ContinuousClock.Instant) throws(ImageError) {
        (self.budget, self.deadline) = (budget, deadline)
        let words = ([program] + arguments).map { strdup($0) }
        defer { words.forEach { free($0) } }
        let pointers = words.map { UnsafePointer($0) } + [nil]
        var (process, output): (pid_t, Int32) = (0, -1)
        let code = file.withUnsafeBufferPointer { frame_process_start(program, pointers, $0.baseAddress, $0.count, &process, &output) }
        guard code == 0 else { throw .video("cannot be decoded: \(program): \(String(cString: strerror(code)))") }
        (self.process, self.output) = (process, output)
    }

    deinit {
        if !isOver {
            kill(process, SIGKILL)
            _ = Self.wait(for: process)
        }
        close(output)
    }

    private static func wait(for process: pid_t) -> Int32 {
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        return status
    }

    /// Up to `count` bytes; fewer where the output ends before.
    func read(_ count: Int) throws(ImageError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var have = 0
        while have < count {
            try waitForOutput()
            let got = bytes.withUnsafeMutableBytes { Glibc.read(output, $0.baseAddress! + have, count - have) }
            if got < 0, errno == EINTR { continue }
            guard got > 0 else { break }
            have += got
        }
        bytes.removeLast(count - have)
        return bytes
    }

    private func waitForOutput() throws(ImageError) {
        while true {
            do throws(WorkLimitError) { try budget.check() } catch { throw .stopped(error) }
            guard ContinuousClock.now < deadline else { throw FrameProcess.tooSlow }
            var end = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
            if poll(&end, 1, Self.tickMilliseconds) > 0 { return }
        }
    }

    private static let tooSlow = ImageError.video("takes too long to decode; send a shorter one, or one of fewer pixels")

    /// Why the process ended without what was asked of it.
    func fault() -> ImageError {
        kill(process, SIGKILL)
        let status = Self.wait(for: process)
        isOver = true
        let signal = status & 0x7F
        if signal == SIGXCPU || signal == SIGKILL { return Self.tooSlow }
        guard signal == 0 else { return .video("ended its decoder by signal \(signal); code it anew with another program") }
        switch status >> 8 {
        case 3: return .video("is no file of a kind that is decoded: MP4, WebM, Matroska, AVI, MPEG, FLV, Ogg, ASF or GIF")
        case 4: return .video("has no pictures")
        case 5: return .video("is coded in a way that is not decoded; code it as H.264, for example")
        case 6: return .video("has more pixels in a frame than are taken (--max-image-pixels)")
        case 7: return .video("has more frames than are taken")
        case 8: return .video("is longer than is taken")
        case 10: return .video("takes more memory to decode than it may; send one of fewer pixels")
        default: return .video("is damaged or cut off; send the whole file, or code it anew with another program")
        }
    }
}
