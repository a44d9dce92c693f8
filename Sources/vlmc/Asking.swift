import ArgumentParser
import ArtifactFormat
import Budgets
import CPUBackend
import ModelRuntime
import Serving

/// How a question is computed.
struct ComputeOptions: ParsableArguments {
    @Option(help: "Threads that compute. Default: one per core that this process may use, not more than its control groups' quota keeps at work.")
    var threads: Int?

    func validate() throws {
        let range = CPUBackend.threadRange
        guard let threads, !range.contains(threads) else { return }
        throw ValidationError("--threads \(threads) is not in \(range.lowerBound) … \(range.upperBound)")
    }
}

/// Which frames of video files are read.
struct FrameOptions: ParsableArguments {
    @Option(help: "Frames of a video that are read of each second. Default: what the model's processor says.")
    var fps: Double?

    @Option(help: "Frames that are read of a whole video, in place of --fps.")
    var numFrames: Int?

    /// The flag that is given; nil for none.
    var given: String? { fps != nil ? "--fps" : numFrames != nil ? "--num-frames" : nil }

    func validate() throws {
        if let fps, !(fps > 0 && fps <= 1000) { throw ValidationError("--fps \(fps) is not above 0 and at most 1000") }
        if let numFrames, !(1...1 << 16).contains(numFrames) { throw ValidationError("--num-frames \(numFrames) is not in 1 … 65536") }
        if fps != nil, numFrames != nil { throw ValidationError("--num-frames is not possible beside --fps") }
    }
}

extension ComputeOptions {
    /// The artifact in a directory, at work for one request at a time.
    func session(_ path: String) throws(Failure) -> Session {
        try Failure.wrapping { try Session.single(Artifact.open(directory: path), on: CPUBackend(threads: threads)) }
    }
}

extension WorkBudget {
    /// Makes inputs of what a person asks for, once and for themselves: ten minutes of processor time.
    static func prepare<Value>(_ work: (WorkBudget) throws(InputError) -> Value) throws(Failure) -> Value {
        let budget = WorkBudget.generous()
        return try Failure.wrapping { () throws(InputError) in
            try budget.onThisThread { () throws(InputError) in try work(budget) }
        }
    }
}
