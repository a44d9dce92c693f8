/// Host buffers of one batch, allocated once and reused by every step.
///
/// Token rows of a sequence are contiguous; sequences follow each other in order. Padding rows of a decode gear have
/// slot −1 and context length 0.
///
/// In a gear each row is a sequence by itself. Several may be tokens of one sequence, in order: their cache blocks are the same, and each sees what
/// those before it write in this step.
package final class StepIO {
    package let maxTokens: Int
    package let maxSequences: Int
    package let maxBlocks: Int
    package let positionAxes: Int
    package let hiddenSize: Int
    package let vocabularySize: Int
    /// Elements of the hidden state that logits are made of.
    package let modelWidth: Int
    /// Most elements of a row of inner states.
    package let innerWidth: Int

    /// Rows in use of the token buffers.
    package var tokenCount = 0
    /// Rows in use of the sequence buffers.
    package var sequenceCount = 0
    /// Rows in use of `sampleRows` and `logits`.
    package var sampleCount = 0
    /// Rows in use of `imageEmbeds`.
    package var imageCount = 0

    /// i32[maxTokens].
    package let ids: UnsafeMutableBufferPointer<Int32>
    /// i32[positionAxes, tokenCount]: axis after axis, packed for the rows in use.
    package let positions: UnsafeMutableBufferPointer<Int32>
    /// i32[maxTokens]: block index · block size + offset in the block; −1 writes nothing.
    package let slots: UnsafeMutableBufferPointer<Int32>
    /// i32[maxTokens]: the last position of its sequence that a token sees where masks have spans: its own, or the end of the
    /// span that it lies in, which is in the same batch or in the cache.
    package let reach: UnsafeMutableBufferPointer<Int32>
    /// i32[maxTokens]: row of `imageEmbeds`, −1 for text.
    package let imageRows: UnsafeMutableBufferPointer<Int32>
    /// f32[maxTokens, hiddenSize].
    package let imageEmbeds: UnsafeMutableBufferPointer<Float>
    /// i32[maxSequences]: first token row of each sequence.
    package let queryStarts: UnsafeMutableBufferPointer<Int32>
    /// i32[maxSequences]: token rows of each sequence; 0 for one that only fills a gear.
    package let queryCounts: UnsafeMutableBufferPointer<Int32>
    /// i32[maxSequences]: tokens of each sequence in the cache after this step, its own rows included.
    package let contextLengths: UnsafeMutableBufferPointer<Int32>
    /// i32[maxSequences, maxBlocks]: cache blocks of each sequence in order.
    package let blockTables: UnsafeMutableBufferPointer<Int32>
    /// i32[maxSequences]: token rows whose logits are wanted.
    package let sampleRows: UnsafeMutableBufferPointer<Int32>
    /// i32[maxSequences], for each row of `logits`: how many of the greatest must be the model's, the others being below them, whatever they
    /// are; all are where it is 0, and `noLogits` says that nobody reads the row. Zeros at first.
    package let wantedLogits: UnsafeMutableBufferPointer<Int32>
    /// f32[maxSequences] ≥ 0: logits so far below the last of those must be the model's too.
    package let logitReach: UnsafeMutableBufferPointer<Float>
    /// i32[maxTokens]: the slot that keeps the states of the token's sequence; −1 touches none.
    package let stateSlots: UnsafeMutableBufferPointer<Int32>
    /// i32[maxTokens]: the token's place in its sequence; states begin as zeros before 0.
    package let ordinals: UnsafeMutableBufferPointer<Int32>
    /// i32[maxTokens]: the number of the adapter that the token's sequence is answered with; −1 for none.
    package let adapters: UnsafeMutableBufferPointer<Int32>
    /// f32[maxSequences, vocabularySize].
    package let logits: UnsafeMutableBufferPointer<Float>
    /// f32[maxSequences, modelWidth]: of `extend` alone, what each row of `logits` is made of, behind the last norm. Of a head, of `decode` as well, and
    /// before that norm, if it has one.
    package let hidden: UnsafeMutableBufferPointer<Float>
    /// f32[maxTokens, innerWidth], packed for the rows and columns in use: the inner states of each token, which a model leaves here and a head finds here.
    package let innerStates: UnsafeMutableBufferPointer<Float>

    /// In `wantedLogits`: the row only fills a gear.
    package static let noLogits: Int32 = -1

    private let memory: Arena

    /// - Throws: `outOfMemory`; memory is taken as it is touched.
    package init(
        maxTokens: Int, maxSequences: Int, maxBlocks: Int, positionAxes: Int, hiddenSize: Int, vocabularySize: Int, modelWidth: Int, innerWidth: Int = 0
    ) throws(BackendError) {
        self.maxTokens = maxTokens
        self.maxSequences = maxSequences
        self.maxBlocks = maxBlocks
        self.positionAxes = positionAxes
        self.hiddenSize = hiddenSize
        self.vocabularySize = vocabularySize
        self.modelWidth = modelWidth
        self.innerWidth = innerWidth
        let counts = [
            (maxTokens, 1), (positionAxes, maxTokens), (maxTokens, 1), (maxTokens, 1), (maxTokens, 1), (maxTokens, hiddenSize), (maxSequences, 1),
            (maxSequences, 1), (maxSequences, 1), (maxSequences, maxBlocks), (maxSequences, 1), (maxSequences, 1), (maxSequences, 1), (maxTokens, 1),
            (maxTokens, 1), (maxTokens, 1),
            (maxSequences, vocabularySize), (maxSequences, modelWidth), (maxTokens, innerWidth),
        ]
        memory = try Arena(elements: counts, of: 4, for: "the buffers of a batch")
        var next = memory.base
        func take<Element>(_ count: Int) -> UnsafeMutableBufferPointer<Element> {
            defer { next += Arena.aligned(4 * count) }
            return UnsafeMutableBufferPointer(start: next.bindMemory(to: Element.self, capacity: count), count: count)
        }
        ids = take(maxTokens)
        positions = take(positionAxes * maxTokens)
        slots = take(maxTokens)
        reach = take(maxTokens)
        imageRows = take(maxTokens)
        imageEmbeds = take(maxTokens * hiddenSize)
        queryStarts = take(maxSequences)
        queryCounts = take(maxSequences)
        contextLengths = take(maxSequences)
        blockTables = take(maxSequences * maxBlocks)
        sampleRows = take(maxSequences)
        wantedLogits = take(maxSequences)
        logitReach = take(maxSequences)
        stateSlots = take(maxTokens)
        ordinals = take(maxTokens)
        adapters = take(maxTokens)
        logits = take(maxSequences * vocabularySize)
        hidden = take(maxSequences * modelWidth)
        innerStates = take(maxTokens * innerWidth)
        slots.update(repeating: -1)
        imageRows.update(repeating: -1)
        stateSlots.update(repeating: -1)
        adapters.update(repeating: -1)
    }
}
