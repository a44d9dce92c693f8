import Execution
import Foundation
import Plan
import Serving
import Synchronization
import Testing

/// Engines that keep cached blocks on disk: what a life has computed the next one finds, if it would compute the same.
@Suite struct StoredBlockTests {
    private let folder = TemporaryFolder()
    private static let size = 16

    /// What an engine is started with.
    private struct Life {
        var seed: UInt64 = 9
        var origin = "an artifact"
        var blockSize = StoredBlockTests.size
        var bytesMax = 1 << 20
        var blockCount = 64
        var isStored = true
    }

    private final class Log: Sendable {
        private let notices = Mutex<[EngineNotice]>([])
        func add(_ notice: EngineNotice) { notices.withLock { $0.append(notice) } }
        var warnings: [String] { notices.withLock { $0.filter { $0 == .warning($0.text) }.map(\.text) } }
    }

    private func engine(_ life: Life = Life(), log: Log = Log()) throws -> Engine {
        let program = testProgram()
        var options = EngineOptions()
        options.blockSize = life.blockSize
        options.kvCacheBytes = life.blockCount * program.kvBlockBytes(blockSize: life.blockSize)
        (options.adapters, options.maxAdapters) = (["a", "b", "c"], 3)
        if life.isStored { options.blockStore = BlockStore(directory: folder.path, bytesMax: life.bytesMax) }
        let configuration = try EngineConfiguration(program: program, options: options, availableBytes: 1 << 30)
        return Engine(configuration: configuration, log: { log.add($0) }, origin: { life.origin }) { NullModel(program: program, seed: life.seed) }
    }

    private func request(_ count: Int, salt: String = "", adapter: Int? = nil, images: [PromptImage] = [], first: Int32 = 1) -> GenerationRequest {
        var prompt = Prompt(text: (0..<Int32(count)).map { ($0 * 7 + first) % 50 + 1 }, axes: 3)
        prompt.images = images
        var request = GenerationRequest(prompt: prompt, maxTokens: 10, ignoresEnd: true, decoder: NumberDecoder())
        request.sampling.temperature = 0
        (request.cacheSalt, request.adapter) = (salt, adapter.map(testAdapter))
        return request
    }

    /// The texts of requests, one after another, and how many tokens of each prompt were cached.
    private func answers(_ requests: [GenerationRequest], log: Log = Log()) async throws -> Answers { try await answers(Life(), requests, log: log) }

    private struct Answers {
        var texts: [String] = []
        var cached: [Int] = []
        var metrics = Metrics()
        /// Blocks and bytes on disk, tokens found, blocks read, written and removed, errors.
        var stored: [Int] {
            metrics.storedBlocks.map { [$0.blocks, $0.bytes, $0.tokensFound, $0.read, $0.written, $0.removed, $0.errors] } ?? []
        }
    }

    private func answers(_ life: Life, _ requests: [GenerationRequest], log: Log = Log()) async throws -> Answers {
        let engine = try engine(life, log: log)
        try await engine.whenServing()
        var found = Answers()
        for request in requests {
            var text = ""
            for await event in try engine.submit(request).events {
                switch event {
                case .text(let part, _): text += part
                case .finished(let completion): found.cached.append(completion.usage.cachedTokens)
                default: break
                }
            }
            found.texts.append(text)
        }
        await engine.drain(timeout: .seconds(5))
        #expect(engine.phase == .stopped)
        found.metrics = engine.metrics
        return found
    }

    @Test func theNextLifeGoesOnFromWhatIsStored() async throws {
        let requests = [request(100), request(40), request(120, first: 3)]
        let first = try await answers(requests)
        #expect(first.cached == [0, 32, 0] && folder.blocks.count == 6 + 1 + 8)
        #expect(first.stored == [15, 61440, 0, 0, 15, 0, 0])
        let second = try await answers(requests.reversed())
        #expect(second.texts == first.texts.reversed() && second.cached == [112, 32, 96])
        #expect(second.stored == [15, 61440, 208, 13, 0, 0, 0] && second.metrics.prefixHits == 240)
        let plain = try await answers(Life(isStored: false), requests)
        #expect(plain.texts == first.texts && plain.stored == [])
    }

    /// Answers are kept too: the next turn of a conversation begins with them.
    @Test func whatWasGeneratedIsFound() async throws {
        var first = request(90)
        first.maxTokens = 60
        let told = try await answers([first])
        var next = first
        next.prompt = Prompt(text: first.prompt.ids + told.texts[0].split(separator: " ").compactMap { Int32($0) } + [5, 6], axes: 3)
        #expect(next.prompt.ids.count == 152)
        #expect(try await answers([next]).cached == [144])
    }

    @Test func nothingIsReadThatWouldBeComputedOtherwise() async throws {
        _ = try await answers([request(100), request(100, salt: "s"), request(100, adapter: 1)])
        let blocks = folder.blocks
        #expect(blocks.count == 18)
        var others = [Life(seed: 8), Life(origin: "another artifact"), Life(blockSize: 32)]
        for other in others {
            #expect(try await answers(other, [request(100)]).cached == [0])
        }
        others = [Life()]
        let cases = [request(100, salt: "t"), request(100, adapter: 0), request(100, salt: "s", adapter: 1), request(100, first: 2)]
        #expect(try await answers(others[0], cases).cached == [0, 0, 0, 0])
        #expect(try await answers([request(100), request(100, salt: "s"), request(100, adapter: 1)]).cached == [96, 96, 96])
        #expect(Set(blocks).isSubset(of: folder.blocks))
    }

    @Test func imagesAreTold() async throws {
        func shown(_ kind: UInt8) -> GenerationRequest { request(60, images: [testImage(kind: kind, tokens: 8, at: 20)]) }
        let first = try await answers([shown(1)])
        let second = try await answers([shown(2), shown(1)])
        #expect(second.cached == [16, 48] && second.texts[1] == first.texts[0])
    }

    @Test func aDamagedBlockIsComputedAgain() async throws {
        let first = try await answers([request(100)])
        let chain = try ordered(folder.blocks)
        var bytes = folder.bytes(chain[2])
        bytes[300] ^= 1
        try folder.write(bytes, chain[2])
        let log = Log()
        let second = try await answers([request(100)], log: log)
        #expect(second.texts == first.texts && second.cached == [32])
        #expect(log.warnings == ["removed \(folder.path)/\(chain[2]): its content has another digest than its header says"])
        #expect(Array(second.stored[..<3]) == [6, 24576, 32] && Array(second.stored[4...]) == [1, 1, 1])
        #expect(try await answers([request(100)]).cached == [96])
    }

    /// Names of blocks, each behind the one that it follows.
    private func ordered(_ names: [String]) throws -> [String] {
        var left = names, chain: [String] = []
        var parent: ContentDigest?
        while let place = left.firstIndex(where: { BlockName.read($0.dropFirst(33))?.parent == parent }) {
            chain.append(left.remove(at: place))
            parent = BlockName.read(chain[chain.count - 1].dropFirst(33))?.key
        }
        return chain
    }

    @Test func theBytesAreBounded() async throws {
        let life = Life(bytesMax: 5 * 4096)
        let first = try await answers(life, (0..<6).map { request(100, first: $0 * 8) })
        #expect(folder.blocks.count <= 5 && first.stored[5] > 0 && first.stored[6] == 0)
        // The beginning of the last one is there.
        let second = try await answers(life, [request(100, first: 40)])
        #expect(second.cached == [80] && second.texts[0] == first.texts[5])
    }

    /// As when the disk is full: what can be read still is, and it is said once.
    @Test func whereNothingCanBeWrittenItIsReadOnly() async throws {
        let first = try await answers([request(100)])
        let place = try #require(folder.blocks.first).prefix(33)
        let log = Log()
        let engine = try engine(log: log)
        try await engine.whenServing()
        try FileManager.default.createDirectory(atPath: "\(folder.path)/\(place)unfinished", withIntermediateDirectories: false)
        for number in 0..<8 as Range<Int32> { #expect(await engine.run(request(100, first: 4 * number)).failure == nil) }
        #expect(await engine.run(request(100)).text == first.texts[0])
        await engine.drain(timeout: .seconds(5))
        #expect(log.warnings.count == 1 && log.warnings[0].hasSuffix(": Is a directory; no more blocks are written, those that are there are read"), "\(log.warnings)")
        #expect(engine.metrics.storedBlocks?.read == 6 && folder.blocks.count == 6)
    }

    @Test func aSecondEngineIsRefused() async throws {
        let engine = try engine()
        try await engine.whenServing()
        let kind = BlockKind(identity: ContentDigest { $0.update(1) }, blockSize: 16, layers: 1, elementBytes: 4, contentBytes: 128)
        #expect(throws: BlockFolderError.self) { try BlockFolder(folder.path, kind: kind, bytesMax: 1 << 20, patience: .zero) }
        await engine.drain(timeout: .seconds(5))
        _ = try BlockFolder(folder.path, kind: kind, bytesMax: 1 << 20, patience: .seconds(5))
        let small = try self.engine(Life(bytesMax: 4095))
        while small.phase == .loading { try await Task.sleep(for: .milliseconds(1)) }
        #expect(small.phase == .failed("--kv-cache-dir-size 4095 is less than one block of 4096 bytes in \(folder.path)"))
    }

    @Test func whatHasNothingToKeepIsRefused() throws {
        var options = EngineOptions()
        options.blockStore = BlockStore(directory: folder.path)
        func fault(_ program: Program) -> String? {
            do throws(ConfigurationError) {
                _ = try EngineConfiguration(program: program, options: options, availableBytes: 1 << 30)
                return nil
            } catch {
                return error.description
            }
        }
        #expect(fault(testProgram()) == nil)
        #expect(fault(testProgram(keepsStates: true)) == "--kv-cache-dir: the model keeps a state of each sequence, which cached blocks do not hold; leave it out")
        options.cachesPrefixes = false
        #expect(fault(testProgram()) == "--kv-cache-dir keeps what prefix caching finds; leave --no-enable-prefix-caching out")
    }

    /// Requests come and go over several lives with little room in memory and on disk; each text is what it is alone.
    @Test(arguments: SimulatorTests.scenes.filter { $0.cachesPrefixes && !$0.keepsStates }, [6, 200])
    func everyTextIsWhatItIsAlone(scene: SimulatorTests.Scene, blocks: Int) async throws {
        let simulator = SimulatorTests()
        let requests = simulator.requests(scene, count: 30)
        let single = try simulator.engine(scene, alone: true)
        try await single.whenServing()
        var expected: [Outcome] = []
        for request in requests { expected.append(await single.run(request)) }
        await single.drain(timeout: .seconds(5))
        for life in 0..<3 {
            let busy = try simulator.engine(scene, store: BlockStore(directory: folder.path, bytesMax: blocks * 4096))
            try await busy.whenServing()
            try await withThrowingTaskGroup(of: (Int, Outcome?).self) { group in
                for (index, request) in requests.enumerated() {
                    group.addTask {
                        try await Task.sleep(for: .microseconds(Int(scene.seed) * index * 37 % 3000))
                        if (index + life) % 7 == 3 { return (index, await busy.runAndLeave(request, after: index % 5)) }
                        return (index, await busy.run(request))
                    }
                }
                for try await (index, outcome) in group where outcome != nil { #expect(outcome == expected[index], "request \(index)") }
            }
            try await busy.whenIdle()
            #expect(busy.metrics.kvUsage == 0 && busy.metrics.running == 0 && busy.metrics.waiting == 0)
            let stored = try #require(busy.metrics.storedBlocks)
            #expect(stored.bytes <= blocks * 4096 && stored.errors == 0)
            await busy.drain(timeout: .seconds(5))
        }
        // One at a time they have room in memory for what is on disk.
        let quiet = try simulator.engine(scene, store: BlockStore(directory: folder.path, bytesMax: blocks * 4096))
        try await quiet.whenServing()
        for (index, request) in requests.enumerated() { #expect(await quiet.run(request) == expected[index], "request \(index)") }
        #expect(try #require(quiet.metrics.storedBlocks).tokensFound > 0 || blocks < 100 || scene.blockSize > 32)
        await quiet.drain(timeout: .seconds(5))
    }

    /// The process ends while requests run and wait: nothing is left behind that the next life does not take.
    @Test func anEndInTheMiddleLeavesWholeBlocks() async throws {
        let requests = (0..<12).map { request(100 + Int($0), first: Int32($0 % 3)) }
        let plain = try await answers(Life(isStored: false), requests)
        for _ in 0..<3 {
            let engine = try engine(Life(blockCount: 20))
            try await engine.whenServing()
            let generations = try requests.map { try engine.submit($0) }
            usleepMilliseconds(3)
            await engine.drain(timeout: .zero)
            for generation in generations { for await _ in generation.events {} }
            #expect(engine.phase == .stopped && engine.inFlight == 0)
        }
        let after = try await answers(requests)
        #expect(after.texts == plain.texts && after.stored[6] == 0)
    }
}
