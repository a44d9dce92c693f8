import Foundation
import FuzzTargets
import Testing

/// Every input of the corpora, and the first of each target's seeds, as `make fuzz` tries them.
@Suite(.serialized) struct ReplayTests {
    private static let corpus = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path + "/Fuzz/Corpus"
    private static let seeds: Range<UInt64> = 1..<61

    @Test(arguments: FuzzTarget.all.map(\.name)) func holds(name: String) async throws {
        let target = try #require(FuzzTarget.all.first { $0.name == name })
        let files = FuzzCorpus.named(target, under: Self.corpus)
        #expect(!files.isEmpty, "\(name) has no corpus")
        let findings = await onThread {
            let inputs = FuzzCorpus.inputs(of: target, under: Self.corpus)
            let tries = files.map { ($0.name, $0.bytes) } + Self.seeds.map { ("seed \($0)", target.input(seed: $0, corpus: inputs)) }
            return tries.compactMap { name, input -> String? in
                do {
                    try target.run(input)
                    return nil
                } catch {
                    return "\(name) \(error)"
                }
            }
        }
        #expect(findings == [])
    }

    @Test(arguments: FuzzTarget.all.map(\.name)) func aSeedGivesOneInput(name: String) throws {
        let target = try #require(FuzzTarget.all.first { $0.name == name })
        let corpus = FuzzCorpus.inputs(of: target, under: Self.corpus)
        let inputs = Self.seeds.map { target.input(seed: $0, corpus: corpus) }
        #expect(inputs == Self.seeds.map { target.input(seed: $0, corpus: corpus) })
        #expect(Set(inputs).count > inputs.count / 2)
    }
}

/// Runs work that blocks on a thread of its own, with the stack of a program's first.
private func onThread<Value: Sendable>(_ work: @escaping @Sendable () -> Value) async -> Value {
    await withCheckedContinuation { continuation in
        let thread = Thread { continuation.resume(returning: work()) }
        thread.stackSize = 8 << 20
        thread.start()
    }
}
