import ArgumentParser
import ArtifactFormat
import CommandLineSupport
import CPUBackend
import ModelRuntime

struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Checks every checksum and runs the self-test, a request with an image.",
        discussion: "Without ARTIFACT, everything in the store is checked. Exits with 1 when anything fails.")

    @OptionGroup var options: CommonOptions
    @Argument(help: "Paths, beginnings of keys, or models' names.") var artifacts: [String] = []
    @Flag(help: "Check only the checksums.") var checksumsOnly = false

    private struct Verdict: Encodable {
        var path: String
        var isIntact: Bool
        var failures: [String]
        /// `passed`, `none`, `skipped`, or what is wrong.
        var selfTest: String
    }

    func run() throws {
        let store = try options.resolvedStore()
        let paths = try artifacts.isEmpty
            ? store.list().map(\.path) + store.unreadable().map(\.path)
            : artifacts.map { name in try store.find(name) }
        if paths.isEmpty { throw ArtifactError.refused("\(store.root) holds no artifacts to verify") }
        let verdicts = paths.map(verdict)
        if options.json {
            try Terminal.printJSON(verdicts)
        } else {
            let terminal = Terminal()
            for verdict in verdicts where verdict.isIntact {
                print("\(terminal.good("ok"))  \(verdict.path.visible())  self-test: \(verdict.selfTest)")
            }
        }
        for failure in verdicts.flatMap(\.failures) { StandardError.say("error: \(failure)") }
        guard verdicts.allSatisfy(\.isIntact) else { throw ExitCode.failure }
    }

    private func verdict(_ path: String) -> Verdict {
        var verdict = Verdict(path: path, isIntact: true, failures: [], selfTest: "skipped")
        do {
            let failures = try Artifact.verify(directory: path) { name in
                if Terminal.isWatched { StandardError.say("checking \(name)") }
            }
            verdict.failures = failures.map(\.description)
            if failures.isEmpty { verdict.selfTest = try selfTest(path, &verdict.failures) }
        } catch {
            verdict.failures.append(error.description)
        }
        verdict.isIntact = verdict.failures.isEmpty
        return verdict
    }

    private func selfTest(_ path: String, _ failures: inout [String]) throws(ArtifactError) -> String {
        let artifact = try Artifact.open(directory: path, recordsUse: false)
        _ = try artifact.passLog()
        guard let golden = try artifact.golden() else { return "none" }
        if checksumsOnly { return "skipped" }
        do {
            try artifact.requireRunnable(on: CPUBackend.features)
        } catch {
            return "skipped, not for this machine"
        }
        guard let mismatch = SelfTest.mismatch(golden, of: artifact, on: CPUBackend()) else { return "passed" }
        failures.append("\(path): the golden self-test fails: \(mismatch)")
        return mismatch
    }
}
