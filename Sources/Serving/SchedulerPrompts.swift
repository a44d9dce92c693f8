extension Scheduler {
    /// Schedules tokens of prompts behind those that decode, the first of which has half of the room at least. Before it come those of its urgency that
    /// are much shorter: a question does not wait for a book.
    mutating func schedulePrompts(_ room: inout Room) {
        let decoding = batch.items.count
        var (prompts, oldest) = (0, Int?.none)
        for index in running.indices {
            let isReadable = canComputePrompt(index)
            running[index].readableSince = isReadable ? running[index].readableSince ?? pace?.elapsed : nil
            guard isReadable else { continue }
            prompts += 1
            oldest = oldest ?? index
        }
        guard let oldest else {
            pace?.begin(decoding: decoding, prompt: 0)
            return
        }
        let first = running[oldest]
        var part = room
        if let pace {
            let most = pace.tokens(
                besideDecoding: decoding, prompts: prompts, encodesImages: running.contains(where: \.waitsForImages),
                first: (first.known, first.readableSince ?? pace.elapsed)) ?? .max
            part.tokens = most == 0 ? 0 : min(room.tokens, max(most, first.leastChunk))
        }
        let allowed = part.tokens
        var half = Room(tokens: part.tokens / 2, logits: part.logits)
        for index in running.indices where !running[index].isDecoding {
            if running[index].priority == first.priority, running[index].pending < first.pending / 2 { schedule(index, &half) }
        }
        part = Room(tokens: allowed - (allowed / 2 - half.tokens), logits: half.logits)
        let short = decoding..<batch.items.count
        for index in running.indices where !running[index].isDecoding && !batch.items[short].contains(where: { $0.index == index }) {
            schedule(index, &part)
        }
        pace?.begin(decoding: decoding, prompt: allowed - part.tokens)
        room = Room(tokens: room.tokens - (allowed - part.tokens), logits: part.logits)
    }

    /// Whether the next tokens of a running sequence are a prompt's and have all that they need.
    private func canComputePrompt(_ index: Int) -> Bool {
        !running[index].isDecoding && !running[index].blocks.isEmpty && running[index].chunk(budget: running[index].leastChunk, logits: 1) > 0
    }
}
