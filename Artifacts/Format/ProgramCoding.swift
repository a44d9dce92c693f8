import Foundation
import Plan
import Tensors

/// A program as it is stored: kernels, types, places and origins once each, steps as rows of indices into them.
///
/// A real model repeats a few dozen kernels and types over thousands of steps, so this is small and decodes at once.
struct StoredProgram: Codable {
    struct StoredPlan: Codable {
        var entry: Entry
        var tensors: [ExecutionPlan.NamedTensor]
        var outputs: [ExecutionPlan.Output]
        var bounds: [String: Int]
        var arenaBytes: Int
        var unsharedBytes: Int
        /// For each step: kernel, origin, count of inputs, count of outputs, then a place and a type for each slot; as
        /// little-endian u32, because thousands of JSON numbers take longer to read than all else.
        var steps: Data
    }
    var kernels: [Kernel]
    var types: [TensorType]
    var places: [Slot.Place]
    var origins: [String]
    var plans: [StoredPlan]
    var limits: Program.Limits
    var kv: KVLayout
    var vocabularySize: Int
    var hiddenSize: Int
    var positionAxes: Int
}

/// Distinct values in the order of first use.
private struct Interned<Value: Hashable> {
    private(set) var values: [Value] = []
    private var indices: [Value: Int] = [:]

    mutating func index(of value: Value) -> Int {
        if let index = indices[value] { return index }
        indices[value] = values.count
        values.append(value)
        return values.count - 1
    }
}

extension StoredProgram {
    init(_ program: Program) {
        var kernels = Interned<Kernel>()
        var types = Interned<TensorType>()
        var places = Interned<Slot.Place>()
        var origins = Interned<String>()
        plans = program.plans.map { plan in
            var rows: [Int] = []
            for step in plan.steps {
                rows += [
                    kernels.index(of: step.kernel), origins.index(of: step.origin), step.inputs.count,
                    step.outputs.count,
                ]
                for slot in step.inputs + step.outputs {
                    rows += [places.index(of: slot.place), types.index(of: slot.type)]
                }
            }
            return StoredPlan(
                entry: plan.entry, tensors: plan.tensors, outputs: plan.outputs, bounds: plan.bounds, arenaBytes: plan.arenaBytes,
                unsharedBytes: plan.unsharedBytes, steps: Self.packed(rows))
        }
        self.kernels = kernels.values
        self.types = types.values
        self.places = places.values
        self.origins = origins.values
        limits = program.limits
        kv = program.kv
        vocabularySize = program.vocabularySize
        hiddenSize = program.hiddenSize
        positionAxes = program.positionAxes
    }

    /// The program again; nil when an index leads nowhere.
    func program() -> Program? {
        var decoded: [ExecutionPlan] = []
        for plan in plans {
            guard let steps = steps(of: plan) else { return nil }
            decoded.append(
                ExecutionPlan(
                    entry: plan.entry, tensors: plan.tensors, outputs: plan.outputs, steps: steps, bounds: plan.bounds,
                    arenaBytes: plan.arenaBytes, unsharedBytes: plan.unsharedBytes))
        }
        return Program(
            plans: decoded, limits: limits, kv: kv, vocabularySize: vocabularySize, hiddenSize: hiddenSize,
            positionAxes: positionAxes)
    }

    private static func packed(_ numbers: [Int]) -> Data {
        var data = Data(capacity: 4 * numbers.count)
        for number in numbers { withUnsafeBytes(of: UInt32(number).littleEndian) { data.append(contentsOf: $0) } }
        return data
    }

    private static func unpacked(_ data: Data) -> [Int]? {
        guard data.count % 4 == 0 else { return nil }
        return data.withUnsafeBytes { bytes in
            stride(from: 0, to: bytes.count, by: 4).map { offset in
                Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
            }
        }
    }

    private func steps(of plan: StoredPlan) -> [Step]? {
        guard let numbers = Self.unpacked(plan.steps) else { return nil }
        var steps: [Step] = []
        var rest = numbers[...]
        func next(below limit: Int) -> Int? {
            guard let value = rest.popFirst(), value < limit else { return nil }
            return value
        }
        while !rest.isEmpty {
            guard let kernel = next(below: kernels.count), let origin = next(below: origins.count),
                let inputCount = next(below: 64), let outputCount = next(below: 64)
            else { return nil }
            var slots: [Slot] = []
            for _ in 0..<inputCount + outputCount {
                guard let place = next(below: places.count), let type = next(below: types.count) else { return nil }
                slots.append(Slot(places[place], types[type]))
            }
            steps.append(
                Step(
                    kernels[kernel], inputs: Array(slots[..<inputCount]), outputs: Array(slots[inputCount...]),
                    origin: origins[origin]))
        }
        return steps
    }
}
