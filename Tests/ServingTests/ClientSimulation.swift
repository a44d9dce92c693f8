import Plan
import Seeded
import Serving

/// Clients of the scheduler in simulated time, where a tick is a step of the model: they come with texts and images, are
/// refused when all places are taken, go away, and are given up at their deadline. All of it is drawn from a seed.
struct ClientSimulation {
    struct Setting: Sendable {
        var seed: UInt64
        var clients = 150
        var blockCount = 24
        var maxSequences = 4
        var maxBatchedTokens = 32
        var cachesPrefixes = true
        /// Requests that wait or run.
        var places = 12
        /// Ticks between two arrivals, on average.
        var pause = 3
        /// Every so many clients, one asks for a further answer to the prompt of the one before it; 0 for none.
        var forks = 3
    }

    enum End: Hashable, Sendable { case answered, refused, left, late }

    private struct Client {
        var arrival: Int
        var prompt: [Int32]
        var images: [ImageTokens]
        var answer: Int
        /// Ticks after the arrival.
        var leaves: Int
        var deadline: Int
        /// The tick by which the answer must have ended, whoever came before.
        var bound = 0
        /// Whether the prompt is that of the client before, in one group with it.
        var isFork = false
        var group: Int?

        /// Ticks that the request takes at most once it is the oldest: all its tokens again, its images, its answer.
        func alone(_ rowsPerTick: Int) -> Int { (prompt.count + answer) / rowsPerTick + answer + 4 * images.count + 4 }
    }

    /// What one run came to; equal for equal settings.
    struct Result: Equatable {
        var ends: [[End]]
        var trace: UInt64 = 0
        var ticks = 0
        var preemptions = 0
        /// What must not be, in words.
        var faults: [String] = []
    }

    private let setting: Setting
    private var dice: Dice
    private var clients: [Client] = []
    private var scheduler: Scheduler
    /// Clients in the scheduler, by the id that they have there.
    private var live: [Int: Int] = [:]
    private var nextID = 1
    private var encoding: (id: Int, image: Int, ready: Int)?
    private var result: Result

    static let blockSize = 16

    static func run(_ setting: Setting) -> Result {
        var simulation = ClientSimulation(setting)
        return simulation.run()
    }

    private init(_ setting: Setting) {
        self.setting = setting
        dice = Dice(setting.seed)
        scheduler = Scheduler(
            Scheduler.Limits(
                gears: [1, 2, setting.maxSequences], maxSequences: setting.maxSequences,
                maxBatchedTokens: setting.maxBatchedTokens, blockSize: Self.blockSize, blockCount: setting.blockCount,
                cachesPrefixes: setting.cachesPrefixes))
        result = Result(ends: Array(repeating: [], count: setting.clients))
        var arrival = 0
        for _ in 0..<setting.clients {
            arrival += Int.random(in: 0...2 * setting.pause, using: &dice)
            var next = client(arrival)
            if setting.forks > 0, let last = clients.last, Int.random(in: 0..<setting.forks, using: &dice) == 0 {
                (next.prompt, next.images, next.arrival, next.isFork) = (last.prompt, last.images, last.arrival, true)
                next.answer = min(next.answer, setting.blockCount * Self.blockSize - next.prompt.count)
                arrival = last.arrival
            }
            clients.append(next)
        }
    }

    /// A small text, a text that fills half of the cache, or some images; a third begins as others do.
    private mutating func client(_ arrival: Int) -> Client {
        let capacity = setting.blockCount * Self.blockSize
        let isLarge = Int.random(in: 0..<4, using: &dice) == 0
        var prompt = Int.random(in: 0..<3, using: &dice) == 0 ? Array(1...Int32(2 * Self.blockSize)) : []
        for _ in 0..<Int.random(in: 1...(isLarge ? capacity / 2 : 12), using: &dice) {
            prompt.append(Int32.random(in: 1..<60, using: &dice))
        }
        var images: [ImageTokens] = []
        for _ in 0..<max(0, Int.random(in: -4...3, using: &dice)) {
            let (kind, count) = (Int.random(in: 0..<3, using: &dice), Int.random(in: 1...20, using: &dice))
            let digest = ContentDigest { $0.update(kind) }
            images.append(ImageTokens(tokens: TokenRanges([prompt.count..<prompt.count + count]), digest: digest))
            prompt += Array(repeating: 60, count: count) + [1]
        }
        prompt = Array(prompt.prefix(capacity - 1))
        images.removeAll { $0.tokens.upperBound > prompt.count }
        let isPatient = Bool.random(using: &dice)
        return Client(
            arrival: arrival, prompt: prompt, images: images,
            answer: Int.random(in: 1...min(60, capacity - prompt.count), using: &dice),
            leaves: isPatient ? .max : Int.random(in: 0...80, using: &dice),
            deadline: Int.random(in: 0..<4, using: &dice) == 0 ? Int.random(in: 1...300, using: &dice) : .max)
    }

    private mutating func run() -> Result {
        let last = clients.last?.arrival ?? 0
        let limit = last + clients.reduce(0) { $0 + $1.alone(1) }
        while result.ticks <= last || !live.isEmpty, result.ticks < limit, result.faults.isEmpty {
            arrive()
            depart()
            encode()
            step()
            checkBlocks()
            result.ticks += 1
        }
        if scheduler.pool.usedCount != 0 { fault("\(scheduler.pool.usedCount) blocks are still in use at the end") }
        if !scheduler.isEmpty { fault("sequences are left at the end") }
        for (client, ends) in result.ends.enumerated() where ends.count != 1 { fault("client \(client) ended as \(ends)") }
        result.preemptions = scheduler.counts.preemptions
        return result
    }

    private mutating func fault(_ what: String) { result.faults.append("tick \(result.ticks): \(what)") }

    private mutating func note(_ value: Int) {
        result.trace = (result.trace ^ UInt64(bitPattern: Int64(value))) &* 0x100_0000_01B3
    }

    private mutating func end(_ id: Int, _ end: End) {
        guard let client = live.removeValue(forKey: id) else { return fault("\(id) ends twice") }
        if !scheduler.remove(id) { fault("the scheduler has lost \(id)") }
        result.ends[client].append(end)
        note(id)
    }
}

extension ClientSimulation {
    private mutating func arrive() {
        let rows = setting.maxBatchedTokens - setting.maxSequences + 1
        for index in clients.indices where clients[index].arrival == result.ticks {
            guard live.count < setting.places else {
                result.ends[index].append(.refused)
                continue
            }
            let ahead = live.values.reduce(0) { $0 + clients[$1].alone(rows) }
            clients[index].bound = result.ticks + ahead + clients[index].alone(rows)
            clients[index].group = clients[index].isFork ? clients[index - 1].group ?? nextID : nextID
            scheduler.add(
                SequenceState(
                    id: nextID, group: clients[index].group, prompt: clients[index].prompt, images: readyImages(clients[index])))
            live[nextID] = index
            nextID += 1
        }
    }

    /// Images that the group has encoded already are at hand.
    private func readyImages(_ client: Client) -> [ImageTokens] {
        let others = (scheduler.running + scheduler.waiting).first { $0.group == client.group }
        return others?.images ?? client.images
    }

    private mutating func depart() {
        for (id, index) in live.sorted(by: { $0.key < $1.key }) {
            let age = result.ticks - clients[index].arrival
            if age >= clients[index].leaves {
                end(id, .left)
            } else if age >= clients[index].deadline {
                end(id, .late)
            } else if result.ticks > clients[index].bound {
                fault("client \(index) waits longer than all before it take one after another")
            }
        }
    }

    /// Encodes one image at a time, for as many ticks as the dice say.
    private mutating func encode() {
        if let current = encoding, live[current.id] == nil { encoding = nil }
        if let current = encoding, current.ready <= result.ticks {
            scheduler.markReady(current.id, image: current.image)
            encoding = nil
        }
        guard encoding == nil, let needed = scheduler.imagesNeeded(), let image = needed.images.first else { return }
        encoding = (needed.id, image, result.ticks + Int.random(in: 1...3, using: &dice))
    }

    private mutating func step() {
        guard let batch = scheduler.nextBatch() else {
            if !live.isEmpty, scheduler.imagesNeeded() == nil { fault("nothing runs and nothing is waited for") }
            return
        }
        check(batch)
        scheduler.commit()
        for item in batch.items {
            note(item.id &* 1000 &+ item.count)
            guard item.samples else { continue }
            scheduler.append(Int32.random(in: 1..<60, using: &dice), toSequence: item.id)
        }
        let finished = scheduler.running.filter { sequence in
            live[sequence.id].map { sequence.generated >= clients[$0].answer } ?? true
        }
        for sequence in finished { end(sequence.id, .answered) }
    }

    private mutating func check(_ batch: Batch) {
        if batch.tokenCount > setting.maxBatchedTokens { fault("a batch of \(batch.tokenCount) tokens") }
        let ids = scheduler.running.map(\.id) + scheduler.waiting.map(\.id)
        if ids != ids.sorted() || Set(ids) != Set(live.keys) { fault("\(ids) are not the requests in order of arrival") }
        let taken = Set(batch.items.map(\.id))
        for sequence in scheduler.running where sequence.pending == 1 && !taken.contains(sequence.id) {
            if sequence.chunk(budget: 1, logits: 1) > 0 { fault("\(sequence.id) could go on and waits behind larger ones") }
        }
    }

    /// Every block in use belongs to a sequence that runs, and only equal beginnings share one.
    private mutating func checkBlocks() {
        var owners: [Int32: (id: Int, group: Int?, place: Int, tokens: ArraySlice<Int32>)] = [:]
        for sequence in scheduler.running {
            for (place, block) in sequence.blocks.enumerated() {
                let tokens = sequence.tokens.prefix((place + 1) * Self.blockSize)
                if let other = owners[block] {
                    if !setting.cachesPrefixes && other.group != sequence.group || other.place != place || other.tokens != tokens {
                        fault("\(sequence.id) and \(other.id) write to one block")
                    }
                } else {
                    owners[block] = (sequence.id, sequence.group, place, tokens)
                }
            }
        }
        if owners.count != scheduler.pool.usedCount {
            fault("\(scheduler.pool.usedCount) blocks are in use, \(owners.count) of them by somebody")
        }
        if scheduler.waiting.contains(where: { !$0.blocks.isEmpty }) { fault("a sequence that waits holds blocks") }
    }
}
