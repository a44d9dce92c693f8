import IR
import Plan
import Tensors

/// Where the tokens of a call go in the cache, and what each of them sees of it.
struct CacheContext {
    var tokens: Dim
    /// i32 `[T]`
    var slots: Value
    /// bool `[T, S]` for each mask of the decoder.
    var visible: [CausalMask: Value]
    /// Where states are kept, of decoders that keep some.
    var places: (slots: Value, ordinals: Value)?
}

extension ModelTracer {
    func cacheContext(_ text: DecoderConfiguration, tokens: Dim) -> CacheContext {
        let slots = b.input(InputRole.slots.rawValue, TensorType(.i32, [tokens]))
        let visible = text.masks.map { ($0, causalInput($0, tokens: tokens)) }
        let places = text.keepsStates ? sequencePlaces(tokens: tokens) : nil
        return CacheContext(tokens: tokens, slots: slots, visible: Dictionary(uniqueKeysWithValues: visible), places: places)
    }

    private func causalInput(_ mask: CausalMask, tokens: Dim) -> Value {
        b.mask(mask.name, .causal(window: mask.window, spans: mask.spans != .none), queries: tokens)
    }
}
