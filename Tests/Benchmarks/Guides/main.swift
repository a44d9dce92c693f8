// guide-bench [name …]: what guides cost a token over a vocabulary of 151 936 tokens, in processor time: the mask, what it bars among the
// logits, and the next state. Twenty answers of up to 200 random tokens for each guide, with nothing known of it at first.
import GuidedDecoding
import Seeded
import ThreadTime

let wanted = CommandLine.arguments.dropFirst()
let vocabulary = Vocabulary()
var trie: TokenTrie!
let build = threadTime { trie = TokenTrie(vocabularySize: vocabulary.texts.count) { vocabulary.texts[Int($0)] } }
print("tree of \(vocabulary.texts.count) tokens: \(build.milliseconds) ms")
print("guide".padded(44), ["compile ms", "tokens", "median µs", "p99 µs", "most µs"].map { $0.padded(-11) }.joined())
var all: [Double] = []
for (name, guide) in Guides.all where wanted.isEmpty || wanted.contains(where: { name.contains($0) }) {
    do {
        let run = try GuideRun(guide, trie, vocabulary.texts.count)
        all += run.tokens
        print(name.padded(44), run.row)
    } catch {
        print(name.padded(44), error)
    }
}
print("all".padded(44), "".padded(11) + GuideRun.row(all))
