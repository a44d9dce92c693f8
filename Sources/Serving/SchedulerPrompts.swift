extension Scheduler {
    /// Schedules tokens of prompts behind those that decode, the first of which has half of the room at least. Before it come those of its urgency that
    /// are much shorter: a question does not wait for a book.
    mutating func schedulePrompts(_ room: inout Room) {
        let decoding = batch.items.count
        guard let first = running.indices.first(where: canComputePrompt) else {
            pace?.begin(decoding: decoding, prompt: 0)
            return
        }
        var part = room
        if let pace {
            var prompts = 0
            for index in running.indices where canComputePrompt(index) {
                prompts += 1
                if running[index].readableSince == nil { running[index].readableSince = pace.elapsed }
            }
            let since = running[first].readableSince ?? pace.elapsed
            let most = pace.tokens(
                besideDecoding: decoding, prompts: prompts, encodesImages: running.contains(where: \.waitsForImages),
                first: (running[first].known, since)) ?? .max
            part.tokens = most == 0 ? 0 : min(room.tokens, max(most, running[first].leastChunk))
        }
        let allowed = part.tokens
        var half = Room(tokens: part.tokens / 2, logits: part.logits)
        let isShort = { (sequence: SequenceState, first: SequenceState) in sequence.priority == first.priority && sequence.pending < first.pending / 2 }
        for index in running.indices where !running[index].isDecoding && isShort(running[index], running[first]) { schedule(index, &half) }
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
        let sequence = running[index]
        return !sequence.isDecoding && !sequence.blocks.isEmpty
            && sequence.hasEmbeddings(for: sequence.computed..<min(sequence.computed + sequence.leastChunk, sequence.known))
    }
}
