import Execution
import Glibc
import Tensors

/// What layers keep of each sequence beside the KV cache: for each layer the states of all slots, behind each other.
///
/// Memory is taken as slots are first used. Nothing is cleared: a sequence begins with zeros, whatever its slot holds.
final class StateStorage {
    /// How many sequences have a slot.
    let slots: Int
    private let memory: Arena
    private var places: [StateRole: (offset: Int, width: Int)] = [:]

    init(_ layouts: [StateLayout], sequences: Int) throws(BackendError) {
        slots = sequences
        memory = try Arena(elements: layouts.map { ($0.width, sequences) }, of: 4, for: "the states of sequences")
        var offset = 0
        for layout in layouts {
            places[layout.role] = (offset, layout.width)
            offset += Arena.aligned(layout.byteCount * sequences)
        }
    }

    /// Writes the states of one slot over those of another.
    func copySlot(from source: Int, to target: Int) {
        precondition((0..<slots).contains(source) && (0..<slots).contains(target), "a slot that no sequence has")
        for place in places.values where source != target {
            let states = (memory.base + place.offset).assumingMemoryBound(to: Float.self)
            memcpy(states + target * place.width, states + source * place.width, place.width * MemoryLayout<Float>.stride)
        }
    }

    /// f32 `[slots, width]`; nil for a layer that keeps no state of that kind and width.
    func states(_ layout: StateLayout?) -> UnsafeMutablePointer<Float>? {
        guard let layout, let place = places[layout.role], place.width == layout.width else { return nil }
        return (memory.base + place.offset).assumingMemoryBound(to: Float.self)
    }
}
