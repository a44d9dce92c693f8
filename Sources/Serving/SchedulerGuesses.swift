internal import Foundation
internal import Plan

/// How far a draft model guesses ahead.
package struct DraftLimits: Sendable, Equatable {
    /// Most tokens of a sequence at once, at least 1.
    package var count: Int
    /// The draft model's decode batch sizes, ascending.
    package var gears: [Int]
    /// Tokens of the longest text that the draft model reads, guessed ones included.
    package var longest: Int

    package init(count: Int, gears: [Int], longest: Int) {
        (self.count, self.gears, self.longest) = (count, gears, longest)
    }
}

extension Scheduler {
    /// A sequence of the batch that is composed, of which a draft model is to guess tokens.
    package struct Draft: Sendable {
        /// Its item in the batch.
        fileprivate var place: Int
        /// Index into `running`.
        package var index: Int
        package var id: Int
        /// How many tokens are wanted.
        package fileprivate(set) var count = 0
        /// How many there may be.
        fileprivate var most: Int
        fileprivate var rate: Double
        /// What the guess costs, as `GuessHistory` counts it.
        fileprivate var cost = 0.0
    }
}

/// Guesses come last: they take what the batch and the cache have left, that is rows of logits that no running sequence needs, at most so many in all as the
/// greatest gear has, and blocks beyond one for each that runs; and of these so many as gain time.
extension Scheduler {
    mutating func guess(in room: Room) {
        guard limits.lookup != nil || limits.draft != nil, let gear = limits.gears.last else { return }
        let most = min(room.tokens, room.logits, gear - batch.items.reduce(0) { $0 + $1.logits.count })
        let yield = Double(batch.items.count(where: { $0.samples }))
        if let lookup = limits.lookup { guess(by: lookup, most, yield) } else if hasDraft, let draft = limits.draft { chooseDrafts(draft, most, yield) }
    }

    /// Whether tokens may be guessed behind an item's; counts the steps of a sequence's pauses.
    private mutating func isDue(_ place: Int) -> Bool {
        guard batch.items[place].samples, !batch.items[place].isReplay else { return false }
        let index = batch.items[place].index
        return running[index].mayGuess && running[index].isDecoding && !running[index].isReading && running[index].guesses.isDue()
    }

    /// Lets sequences that decode compute tokens that are looked up, the oldest first.
    private mutating func guess(by lookup: PromptLookup, _ rows: Int, _ yieldBefore: Double) {
        var (most, yield) = (rows, yieldBefore)
        for place in batch.items.indices where most > 0 && isDue(place) {
            let index = batch.items[place].index
            running[index].guess(by: lookup, most: most)
            let choice = worth(running[index], yield)
            if running[index].guessed > 0, choice.count == 0 { running[index].guesses.pause() }
            running[index].expect(choice.count)
            reserveBlocksForGuess(index)
            let guessed = running[index].guessed
            guard guessed > 0 else { continue }
            addGuess(place, cost: choice.cost)
            most -= guessed
            yield += choice.expected
        }
    }

    private mutating func addGuess(_ place: Int, cost: Double) {
        let index = batch.items[place].index
        running[index].beginDraft(cost: cost)
        batch.items[place].addGuess(running[index].guessed)
        counts.guesses += 1
        counts.guessedTokens += running[index].guessed
    }

    /// How many of the tokens guessed of a sequence gain time; all where the batch is one for `extend`, of whose rows they are few.
    private func worth(_ sequence: SequenceState, _ yield: Double) -> GearTimes.Choice {
        guard sequence.guessed > 0, case .decode(let plain) = entry() else { return GearTimes.Choice(count: sequence.guessed) }
        return times.choose(most: sequence.guessed, rows: batch.tokenCount, plain: plain, yield: yield, rate: sequence.guesses.rate)
    }

    /// Cuts the guess to the blocks that can be had for it.
    private mutating func reserveBlocksForGuess(_ index: Int) {
        let known = running[index].known
        while running[index].blocks.count < pool.blocks(for: known + running[index].guessed), pool.freeCount > running.count {
            if let block = pool.allocate() { running[index].blocks.append(block) }
        }
        running[index].expect(min(running[index].guessed, running[index].blocks.count * limits.blockSize - known))
    }
}

/// Guesses of a draft model: all that it guesses for one batch is decided at once, for its steps are those of all sequences.
extension Scheduler {
    /// Takes note of how long a step of the draft model took, if that is to decide what is guessed.
    package mutating func note(draftGear gear: Int, seconds: Double) { draftTimes.note(gear, seconds: seconds) }

    /// Has no tokens guessed by a draft model any more.
    package mutating func endDrafts() { hasDraft = false }

    /// Takes the tokens that the draft model has guessed of one of `drafts`, at most as many as are wanted.
    package mutating func guess(_ tokens: UnsafeBufferPointer<Int32>, of number: Int) {
        let draft = drafts[number]
        running[draft.index].takeDraft(tokens)
        if !tokens.isEmpty { addGuess(draft.place, cost: draft.cost) }
    }

    private mutating func chooseDrafts(_ bounds: DraftLimits, _ rows: Int, _ yield: Double) {
        let width = min(rows, bounds.gears.last ?? 0)
        for place in batch.items.indices where drafts.count < width && isDue(place) {
            let index = batch.items[place].index
            let most = running[index].guessable(min(bounds.count, bounds.longest - running[index].textCount))
            guard most > 0, running[index].textCount > 0 else { continue }
            drafts.append(Draft(place: place, index: index, id: running[index].id, most: most, rate: running[index].guesses.rate))
        }
        guard !drafts.isEmpty, let choice = weighDrafts(bounds.count, rows, yield) else { return drafts.removeAll(keepingCapacity: true) }
        var left = choice.count
        for level in 1...bounds.count {
            for number in drafts.indices where drafts[number].most >= level && left > 0 {
                drafts[number].count = level
                left -= 1
            }
        }
        for number in drafts.indices {
            let (index, count) = (drafts[number].index, drafts[number].count)
            if choice.count == 0 { running[index].guesses.pause() }
            running[index].expectDraft(count)
            reserveBlocksForGuess(index)
            drafts[number].count = running[index].guessed
            drafts[number].cost = choice.cost * Double(count) / Double(max(choice.count, 1))
        }
        drafts.removeAll { $0.count == 0 }
    }

    /// How many tokens in all let the batch yield most in a second, the draft model's steps included: one of each sequence, then another one of each, and so
    /// on. All where the batch is one for `extend`, and where no step has been timed; nil where the batch's own time is not known, which this step
    /// tells.
    private func weighDrafts(_ levels: Int, _ rows: Int, _ yield: Double) -> GearTimes.Choice? {
        let most = min(rows, drafts.reduce(0) { $0 + $1.most })
        guard !times.isEmpty, case .decode(let plain) = entry() else { return GearTimes.Choice(count: most) }
        guard let seconds = times.seconds(of: plain) else { return nil }
        var (best, speed) = (GearTimes.Choice(), yield)
        var (count, expected, drafting) = (0, 0.0, 0.0)
        for level in 1...levels {
            let width = min(drafts.count { $0.most >= level }, most - count)
            guard width > 0 else { break }
            drafting += draftTimes.seconds(ofRows: width) / seconds
            for draft in drafts where draft.most >= level && count < most {
                count += 1
                expected += pow(draft.rate, Double(level))
                guard let wide = limits.gears.first(where: { $0 >= max(plain, batch.tokenCount + count) }) else { return best }
                let ratio = times.ratio(of: wide, to: plain) + drafting
                guard (yield + expected) / ratio > speed else { continue }
                speed = (yield + expected) / ratio
                best = GearTimes.Choice(count: count, expected: expected, cost: (ratio - 1) * yield)
            }
        }
        return best
    }

    /// Expects no more of drafts than has come, and gives the blocks under the rest back.
    mutating func dropMissingDrafts() {
        for draft in drafts {
            let index = draft.index
            running[index].expect(batch.items[draft.place].guessed)
            releaseBlocks(of: index, behind: pool.blocks(for: running[index].known + running[index].guessed))
        }
        drafts.removeAll(keepingCapacity: true)
    }
}
