import Foundation
import FuzzTargets

/// Runs targets one after another, each in child processes, and keeps the inputs that failed.
struct FuzzRun {
    struct Mistake: Error, CustomStringConvertible { var description: String }

    private var targets: [FuzzTarget] = []
    private var seconds = 60.0
    private var seed = UInt64(Date().timeIntervalSince1970) << 20
    private var corpus = "Tests/Fuzz/Corpus"
    private var output = ".build/fuzz"
    /// Seconds after which a child that is at the same input is ended.
    private static let patience = 30.0
    /// A target that failed this often is left.
    private static let findingsMax = 20

    static let usage = "fuzz-targets [--seconds N] [--seed N] [--corpus DIR] [--out DIR] [TARGET …]"

    init(_ arguments: [String]) throws {
        var rest = arguments[...]
        while let word = rest.popFirst() {
            guard word.hasPrefix("--") else {
                guard let target = FuzzTarget.all.first(where: { $0.name == word }) else {
                    throw Mistake(description: "no target \(word); there are \(FuzzTarget.all.map(\.name).joined(separator: ", "))")
                }
                targets.append(target)
                continue
            }
            guard let value = rest.popFirst() else { throw Mistake(description: Self.usage) }
            switch word {
            case "--seconds": seconds = Double(value) ?? seconds
            case "--seed": seed = UInt64(value) ?? seed
            case "--corpus": corpus = value
            case "--out": output = value
            default: throw Mistake(description: Self.usage)
            }
        }
        if targets.isEmpty { targets = FuzzTarget.all }
    }

    /// Whether nothing was found.
    func run() throws -> Bool {
        try FileManager.default.createDirectory(atPath: output, withIntermediateDirectories: true)
        var isClean = true
        for target in targets where try run(target) > 0 { isClean = false }
        return isClean
    }

    private func run(_ target: FuzzTarget) throws -> Int {
        let end = Date().addingTimeInterval(seconds)
        var (tried, findings, seed) = (0, 0, seed)
        while findings < Self.findingsMax, end.timeIntervalSinceNow > 0.05 {
            let current = try CurrentInput(path: "\(output)/\(target.name).current")
            current.count = 0
            let complaint = try child(target, from: seed, seconds: end.timeIntervalSinceNow, current)
            tried += current.count
            guard let complaint else { break }
            findings += 1
            let path = "\(output)/\(target.name)-\(current.seed)"
            _ = FileManager.default.createFile(atPath: path, contents: Data(current.bytes))
            say("\(target.name): seed \(current.seed) \(complaint); its input is \(path)")
            seed = current.seed &+ 1
        }
        say("\(target.name): \(tried) inputs, \(findings) findings")
        return findings
    }

    private func say(_ line: String) { FileHandle.standardOutput.write(Data("\(line)\n".utf8)) }

    /// Runs a child to its end; what it ended by, nil when all was well.
    private func child(_ target: FuzzTarget, from seed: UInt64, seconds: Double, _ current: CurrentInput) throws -> String? {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = ["--child", target.name, corpus, "\(output)/\(target.name).current", "\(seed)", "\(seconds)"]
        let errors = "\(output)/\(target.name).stderr"
        _ = FileManager.default.createFile(atPath: errors, contents: nil)
        process.standardError = FileHandle(forWritingAtPath: errors)
        try process.run()
        var (count, since) = (-1, Date())
        while process.isRunning {
            Thread.sleep(forTimeInterval: 0.05)
            if current.count != count { (count, since) = (current.count, Date()) }
            guard Date().timeIntervalSince(since) > Self.patience else { continue }
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            return "does not end within \(Int(Self.patience)) s"
        }
        if process.terminationReason == .exit, process.terminationStatus == 0 { return nil }
        let text = (try? String(contentsOfFile: errors, encoding: .utf8)) ?? ""
        let words = text.split(separator: "\n").first.map { ": \($0.prefix(300))" } ?? ""
        guard process.terminationReason == .uncaughtSignal else { return "fails\(words)" }
        return "ends the process by signal \(process.terminationStatus)\(words)"
    }
}
