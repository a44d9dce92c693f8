package import Budgets
package import GuidedDecoding
internal import Glibc
internal import JSON
internal import Synchronization

/// The guides that were asked for of late, compiled over the model's vocabulary.
package final class GuideShelf: Sendable {
    private let vocabularySize: Int
    private let text: @Sendable (Int32) -> [UInt8]?
    private let stored: @Sendable () -> [UInt8]?
    /// Read or built when the first guide is asked for.
    private let trie = Mutex<TokenTrie?>(nil)
    /// The latest last.
    private let kept = Mutex<[(key: String, guide: TokenGuide)]>([])

    /// Keys of those that are being compiled.
    private let making = Mutex<Set<String>>([])

    /// Most guides that are kept beside those at work.
    private static let maxKept = 16

    /// - Parameters:
    ///   - stored: the tree of the tokens' texts, compiled; where it is nil or damaged the tree is built.
    ///   - text: the bytes of a token; nil for one that spells no text.
    package init(vocabularySize: Int, stored: @escaping @Sendable () -> [UInt8]? = { nil }, text: @escaping @Sendable (Int32) -> [UInt8]?) {
        self.vocabularySize = vocabularySize
        self.stored = stored
        self.text = text
    }

    /// Whether a guide need not be compiled, which may take long.
    package func has(_ guide: Guide) -> Bool { known(guide.key) != nil }

    /// A guide of late, or a new one, which is compiled once however many ask for it; throws as well where `budget` ends meanwhile.
    package func guide(_ guide: Guide, budget: WorkBudget = .generous()) throws(GuideError) -> TokenGuide {
        let key = guide.key
        while true {
            if let known = known(key) { return known }
            if making.withLock({ $0.insert(key).inserted }) { break }
            do throws(WorkLimitError) { try budget.check() } catch { throw .givenUp }
            usleep(1000)
        }
        defer { making.withLock { _ = $0.remove(key) } }
        // It may have been finished between the two looks.
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
            guard let place = kept.firstIndex(where: { $0.key.isExactly(key) }) else { return nil }
            let entry = kept.remove(at: place)
            kept.append(entry)
            return entry.guide
        }
    }

    private func vocabulary() -> TokenTrie {
        trie.withLock { trie in
            if let trie { return trie }
            let known = stored().flatMap { TokenTrie(compiled: $0, vocabularySize: vocabularySize) }
            let made = known ?? TokenTrie(vocabularySize: vocabularySize, text: text)
            trie = made
            return made
        }
    }
}
