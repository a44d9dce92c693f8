/// How long steps of each gear take, from those that have run, and so which guesses gain time. A value without a clock.
package struct GearTimes: Sendable, Equatable {
    /// Ascending.
    private let gears: [Int]
    /// By place in `gears`; 0 before the first step.
    private var seconds: [Double]
    /// By place in `gears`: the steps of all gears before its last one.
    private var lasts: [Int]
    private var steps = 0

    /// After so many steps without it a gear's time is not known any more: it may have been that of a step that was disturbed.
    package static let memory = 1024

    /// - Parameter gears: ascending.
    package init(gears: [Int]) {
        self.gears = gears
        seconds = Array(repeating: 0, count: gears.count)
        lasts = Array(repeating: 0, count: gears.count)
    }

    /// Takes note of a step. A time falls faster than it rises, for what disturbs a step makes it longer.
    package mutating func note(_ gear: Int, seconds new: Double) {
        guard let place = gears.firstIndex(of: gear), new > 0 else { return }
        let old = seconds(at: place)
        seconds[place] = old == 0 ? new : old + (new - old) / (new < old ? 2 : 4)
        lasts[place] = steps
        steps += 1
    }

    private func seconds(at place: Int) -> Double { steps - lasts[place] > Self.memory ? 0 : seconds[place] }

    /// How many times as long as one of gear `plain` a step of `wide` takes, at least 1, which it is also where one of them is not known.
    package func ratio(of wide: Int, to plain: Int) -> Double {
        guard let first = gears.firstIndex(of: plain), let second = gears.firstIndex(of: wide) else { return 1 }
        let (short, long) = (seconds(at: first), seconds(at: second))
        return short > 0 && long > 0 ? max(1, long / short) : 1
    }

    /// Whether no step has been noted.
    package var isEmpty: Bool { steps == 0 }

    /// What a step of a gear takes; nil where it is not known.
    package func seconds(of gear: Int) -> Double? {
        guard let place = gears.firstIndex(of: gear), case let time = seconds(at: place), time > 0 else { return nil }
        return time
    }

    /// What a step of so many rows takes: of the least gear that takes them, else of the next one whose time is known, else of the last one before; 0
    /// where nothing is known.
    package func seconds(ofRows rows: Int) -> Double {
        let first = gears.firstIndex { $0 >= rows } ?? gears.count
        let known = gears.indices[first...].first { seconds(at: $0) > 0 } ?? gears.indices[..<first].last { seconds(at: $0) > 0 }
        return known.map { seconds(at: $0) } ?? 0
    }

    /// How many guessed tokens of a sequence, and what they bring.
    package struct Choice: Sendable, Equatable {
        package var count = 0
        /// How many of them may be expected to come true.
        package var expected = 0.0
        /// How many tokens the batch could have yielded in the time that the step takes longer.
        package var cost = 0.0
    }

    /// Of up to `most` tokens, guessed behind a sequence of a batch of `rows` rows that runs in gear `plain`, so many as let it yield most tokens
    /// in a second: of those in one gear all, since its rows are computed anyway. None where the batch yields most without.
    ///
    /// - Parameters:
    ///   - yield: tokens that the batch gives without them.
    ///   - rate: how likely each is to come true if those before it have.
    package func choose(most: Int, rows: Int, plain: Int, yield: Double, rate: Double) -> Choice {
        var (best, speed) = (Choice(), yield)
        var (expected, likely) = (0.0, 1.0)
        for count in 1..<max(most + 1, 1) {
            likely *= rate
            expected += likely
            guard let wide = gears.first(where: { $0 >= max(plain, rows + count) }) else { break }
            let ratio = ratio(of: wide, to: plain)
            guard (yield + expected) / ratio > speed else { continue }
            speed = (yield + expected) / ratio
            best = Choice(count: count, expected: expected, cost: (ratio - 1) * yield)
        }
        return best
    }
}
