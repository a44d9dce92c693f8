import Budgets
import Inputs
import Seeded

extension FuzzTarget {
    /// `tokenizer.model` of sentencepiece and rank files of tiktoken: one that is taken encodes any text within bounds, as its
    /// compiled form does.
    static let pieces = FuzzTarget("pieces", secondsMax: 5) { dice, corpus in
        var bytes = dice.pick(corpus) ?? []
        for _ in 0..<Int.random(in: 1...4, using: &dice) where !bytes.isEmpty {
            let place = Int.random(in: 0..<bytes.count, using: &dice)
            switch Int.random(in: 0..<4, using: &dice) {
            case 0: bytes.removeSubrange(place..<min(bytes.count, place + Int.random(in: 1...8, using: &dice)))
            case 1: bytes.insert(contentsOf: bytes[place..<min(bytes.count, place + Int.random(in: 1...40, using: &dice))], at: place)
            default: bytes[place] = UInt8.random(in: 0...255, using: &dice)
            }
        }
        return bytes
    } check: { input in
        for name in ["tokenizer.model", "a.tiktoken"] {
            guard let tokenizer = try? TokenizerSource(names: [name], bytes: { $0 == name ? input : nil }).tokenizer() else { continue }
            guard let compiled = try? Tokenizer(compiled: tokenizer.compiled) else {
                throw Finding("its compiled form cannot be read")
            }
            for text in ["", "  Hello,\n world! ", "日本語 e\u{301}\u{327} ﬁ\u{0}", String(repeating: "ab ", count: 300)] {
                let budget = WorkBudget(cpuLimit: .seconds(1))
                let ids = try? budget.onThisThread { try tokenizer.encode(text, addSpecialTokens: true, budget: budget) }
                let others = try? budget.onThisThread { try compiled.encode(text, addSpecialTokens: true, budget: budget) }
                guard ids == others else { throw Finding("the compiled form encodes \(text.debugDescription.prefix(40)) otherwise") }
                guard let ids else { continue }
                guard ids.allSatisfy({ $0 >= 0 && Int($0) < tokenizer.idLimit }) else { throw Finding("an id beyond \(tokenizer.idLimit)") }
                _ = try? tokenizer.decode(ids, skipSpecialTokens: false)
            }
        }
    }
}
