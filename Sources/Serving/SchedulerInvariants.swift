extension Scheduler {
    /// What holds between any two calls, and is broken; nil for nothing.
    ///
    /// - Parameter batch: what is to be computed next: none of it is written where others read.
    package func violation(before batch: Batch? = nil) -> String? {
        pool.violation ?? orderViolation ?? blockViolation ?? seatViolation ?? batch.flatMap { violation(in: $0) }
    }

    private var orderViolation: String? {
        for line in [running, waiting] where !zip(line, line.dropFirst()).allSatisfy({ $0.precedes($1) }) {
            return "sequences are out of order: \(line.map { ($0.priority, $0.id) })"
        }
        if let late = running.first(where: { late in waiting.contains { $0.priority == late.priority && $0.precedes(late) } }) {
            return "\(late.id) runs while an earlier one of its priority waits"
        }
        let groups = Set(running.filter { $0.seats > 1 }.map(\.group))
        let apart = waiting.first { $0.seats > 1 && groups.contains($0.group) }
        return apart.map { "\($0.id) waits while others of its search run" }
    }

    /// Each block has as many users as sequences that hold it.
    private var blockViolation: String? {
        var users: [Int32: Int] = [:]
        for sequence in running {
            guard Set(sequence.blocks).count == sequence.blocks.count else { return "\(sequence.id) has a block twice" }
            for block in sequence.blocks { users[block, default: 0] += 1 }
            guard (0...sequence.known).contains(sequence.computed) else {
                return "\(sequence.id) has computed \(sequence.computed) of \(sequence.known)"
            }
            let least = pool.blocks(for: sequence.computed), most = pool.blocks(for: sequence.known + sequence.guessed)
            guard (least...most).contains(sequence.blocks.count) else { return "\(sequence.id) has \(sequence.blocks.count) blocks" }
            guard sequence.publishedBlocks * limits.blockSize <= sequence.computed else {
                return "\(sequence.id) has published what is not computed"
            }
        }
        for (block, count) in users where pool.users(of: block) != count {
            return "block \(block) has \(count) users and counts \(pool.users(of: block))"
        }
        guard users.count == pool.usedCount else { return "\(pool.usedCount) blocks are in use, sequences have \(users.count)" }
        let early = waiting.first { !$0.blocks.isEmpty || $0.computed > 0 || $0.publishedBlocks > 0 || $0.stateSlot >= 0 }
        return early.map { "\($0.id) waits and has a place" }
    }

    private var seatViolation: String? {
        if runningAdapters > limits.maxAdapters { return "\(runningAdapters) adapters run at once" }
        let slots = Set(running.map(\.stateSlot))
        guard slots.count == running.count, slots.allSatisfy({ (0..<Int32(limits.maxSequences)).contains($0) }) else {
            return "states share a slot: \(slots)"
        }
        for sequence in running where running.count(where: { $0.group == sequence.group }) > sequence.seats && sequence.seats > 1 {
            return "more fork from \(sequence.id) than seats are kept"
        }
        return takenSeats <= limits.maxSequences ? nil : "\(takenSeats) seats are taken"
    }

    private func violation(in batch: Batch) -> String? {
        for item in batch.items {
            let sequence = running[item.index]
            guard sequence.id == item.id, sequence.computed == item.start, item.start + item.count <= sequence.known + sequence.guessed
            else {
                return "\(item) is not of \(sequence.id)"
            }
            for place in item.start / limits.blockSize...(item.start + item.count - 1) / limits.blockSize {
                let block = sequence.blocks[place]
                guard pool.users(of: block) == 1, !pool.isFindable(block) else {
                    return "\(item.id) writes block \(block), which others read"
                }
            }
        }
        return nil
    }
}
