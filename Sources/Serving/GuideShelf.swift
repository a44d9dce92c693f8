package import Budgets
package import GuidedDecoding
internal import Synchronization

/// The guides that were asked for of late, compiled over the model's vocabulary.
package final class GuideShelf: Sendable {
    private let vocabularySize: Int
    private let text: @Sendable (Int32) -> [UInt8]?
    /// Built when the first guide is asked for.
    private let trie = Mutex<TokenTrie?>(nil)
    /// The latest last.
    private let kept = Mutex<[(key: String, guide: TokenGuide)]>([])

    /// Most guides that are kept beside those at work.
    private static let maxKept = 16

    /// - Parameter text: the bytes of a token; nil for one that spells no text.
    package init(vocabularySize: Int, text: @escaping @Sendable (Int32) -> [UInt8]?) {
        self.vocabularySize = vocabularySize
        self.text = text
    }

    /// Whether a guide need not be compiled, which may take long.
    package func has(_ guide: Guide) -> Bool { known(guide.key) != nil }

    /// A guide of late, or a new one; throws as well where `budget` ends while it is compiled.
    package func guide(_ guide: Guide, budget: WorkBudget = .generous()) throws(GuideError) -> TokenGuide {
        let key = guide.key
        if let known = known(key) { return known }
        let made = TokenGuide(try guide.compiled(isGivenUp: { (try? budget.check()) == nil }), vocabulary())
        kept.withLock { kept in
            if kept.count >= Self.maxKept { kept.removeFirst() }
            kept.append((key, made))
        }
        return made
    }

    private func known(_ key: String) -> TokenGuide? {
        kept.withLock { kept in
            guard let place = kept.firstIndex(where: { $0.key.utf8.elementsEqual(key.utf8) }) else { return nil }
            let entry = kept.remove(at: place)
            kept.append(entry)
            return entry.guide
        }
    }

    private func vocabulary() -> TokenTrie {
        trie.withLock { trie in
            if let trie { return trie }
            let made = TokenTrie(vocabularySize: vocabularySize, text: text)
            trie = made
            return made
        }
    }
}
