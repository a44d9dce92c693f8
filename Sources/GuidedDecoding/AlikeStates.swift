extension Grammar {
    /// For each reach, which ascend, of each state one from which the same texts of up to so many bytes lead on.
    ///
    /// States are told apart by numbers that are made, byte by byte, of those of the states that they lead to; that two which differ get the
    /// same number is as good as impossible, since the first are drawn. A state with calls is like no other.
    func alikeStates(within reaches: [Int]) -> [[Int32]] {
        var seed = SystemRandomNumberGenerator()
        let keys: [UInt64] = [seed.next() | 1, seed.next() | 1, seed.next()]
        func mixed(_ sum: UInt64, _ value: UInt64) -> UInt64 {
            let product = (sum ^ value) &* keys[0]
            return (product ^ (product >> 29)) &* keys[1]
        }
        var numbers = needs.indices.map { state -> UInt64 in
            if !calls(of: Int32(state)).isEmpty { return mixed(keys[2], UInt64(state) << 8 | 4) }
            return mixed(mixed(keys[2], UInt64(UInt32(bitPattern: needs[state]))), accepting[state] ? 2 : edges(of: Int32(state)).isEmpty ? 0 : 1)
        }
        var (result, done): ([[Int32]], Int) = ([], 0)
        for reach in reaches {
            while done < reach {
                numbers = Self.extended(numbers, edges, edgeStarts, mixed)
                done += 1
            }
            var firsts: [UInt64: Int32] = [:]
            result.append(numbers.enumerated().map { state, number in
                if let known = firsts[number] { return known }
                firsts[number] = Int32(state)
                return Int32(state)
            })
        }
        return result
    }

    /// The numbers by one byte more.
    private static func extended(
        _ numbers: [UInt64], _ edges: [Automaton.Edge], _ starts: [Int32], _ mixed: (UInt64, UInt64) -> UInt64
    ) -> [UInt64] {
        numbers.indices.map { state in
            var (sum, place, end) = (numbers[state], Int(starts[state]), Int(starts[state + 1]))
            while place < end {
                // Neighbours that lead to the same are one.
                let (low, target) = (edges[place].low, numbers[Int(edges[place].target)])
                var high = edges[place].high
                place += 1
                while place < end, high < 255, edges[place].low == high + 1, numbers[Int(edges[place].target)] == target {
                    high = edges[place].high
                    place += 1
                }
                sum = mixed(mixed(sum, UInt64(low) << 8 | UInt64(high)), target)
            }
            return sum
        }
    }
}
