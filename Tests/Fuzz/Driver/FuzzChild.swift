import Foundation
import FuzzTargets

/// Tries the inputs of rising seeds until the time is over or one fails.
enum FuzzChild {
    /// Ended by a finding, which stands on the standard error.
    static let foundStatus: Int32 = 3
    /// Address space of a child.
    private static let memoryMax = 6 << 30

    /// - Parameter arguments: target, corpus, file of the current input, first seed, seconds.
    static func run(_ arguments: [String]) -> Int32 {
        guard let target = FuzzTarget.all.first(where: { $0.name == arguments[0] }), let current = try? CurrentInput(path: arguments[2]),
            let first = UInt64(arguments[3]), let seconds = Double(arguments[4])
        else { return 2 }
        var limit = rlimit(rlim_cur: rlim_t(memoryMax), rlim_max: rlim_t(memoryMax))
        setrlimit(__rlimit_resource_t(UInt32(RLIMIT_AS.rawValue)), &limit)
        let corpus = FuzzCorpus.inputs(of: target, under: arguments[1])
        let deadline = Date().addingTimeInterval(seconds)
        var seed = first
        while Date() < deadline {
            let input = target.input(seed: seed, corpus: corpus)
            current.begin(input, seed: seed)
            do {
                try target.run(input)
            } catch {
                FileHandle.standardError.write(Data("\(error)\n".utf8))
                return foundStatus
            }
            seed &+= 1
        }
        return 0
    }
}
