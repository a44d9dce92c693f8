package import IR

extension Tensor {
    /// The number of elements in each slice along axis 0.
    fileprivate var rowCount: Int { shape.dropFirst().reduce(1, *) }
}

extension Gather: Evaluable {
    package func evaluate(_ call: Call) throws(EvaluationError) -> [Tensor] {
        let (x, row) = (call[0], call[0].rowCount)
        var runs: [Range<Int>] = []
        for index in call[1].ints {
            guard index >= 0, Int(index) < x.shape[0] else { throw EvaluationError("row \(index) is not in \(x.type)") }
            runs.append(Int(index) * row..<(Int(index) + 1) * row)
        }
        return [x.picking(call.shape, runs: runs)]
    }
}

extension GatherColumns: Evaluable {
    package func evaluate(_ call: Call) throws(EvaluationError) -> [Tensor] {
        let (x, columns) = (call[0], call[0].shape[1])
        for index in call[1].ints where index < 0 || Int(index) >= columns { throw EvaluationError("column \(index) is not in \(x.type)") }
        return [x.picking(call.shape, runs: (0..<x.shape[0]).flatMap { row in call[1].ints.map { row * columns + Int($0)..<row * columns + Int($0) + 1 } })]
    }
}

extension SelectRows: Evaluable {
    package func evaluate(_ call: Call) throws(EvaluationError) -> [Tensor] {
        let (a, b, row) = (call[0], call[1], call[0].rowCount)
        func select<T>(_ a: [T], _ other: [T]) throws(EvaluationError) -> [T] {
            var result = a
            for (t, index) in call[2].ints.enumerated() where index >= 0 {
                guard Int(index) < b.shape[0] else { throw EvaluationError("row \(index) is not in \(b.type)") }
                result.replaceSubrange(t * row..<(t + 1) * row, with: other[Int(index) * row..<(Int(index) + 1) * row])
            }
            return result
        }
        if case .ints = a.storage { return [Tensor(unchecked: .ints(try select(a.ints, b.ints)), call.shape, call.element)] }
        return [Tensor(unchecked: .floats(try select(a.floats, b.floats)), call.shape, call.element)]
    }
}

extension StoreKV: Evaluable {
    package func evaluate(_ call: Call) throws(EvaluationError) -> [Tensor] {
        var results: [Tensor] = []
        for half in 0..<2 {
            let operands = [call[half], call[2 + half], call[4]]
            results += try KVWrite().evaluate(Call(operands: operands, results: [call.results[half]], weight: call.weight))
        }
        return results
    }
}

extension KVWrite: Evaluable {
    package func evaluate(_ call: Call) throws(EvaluationError) -> [Tensor] {
        let (cache, row) = (call[0], call[0].rowCount)
        func write<T>(_ cache: [T], _ rows: [T], _ count: Int) throws(EvaluationError) -> [T] {
            var result = cache
            for (t, slot) in call[2].ints.enumerated() where slot >= 0 {
                guard Int(slot) < count else { throw EvaluationError("slot \(slot) is above the \(count) of the cache") }
                result.replaceSubrange(Int(slot) * row..<(Int(slot) + 1) * row, with: rows[t * row..<(t + 1) * row])
            }
            return result
        }
        if case .ints = cache.storage {
            return [Tensor(unchecked: .ints(try write(cache.ints, call[1].ints, cache.shape[0])), call.shape, call.element)]
        }
        return [Tensor(unchecked: .floats(try write(cache.floats, call[1].floats, cache.shape[0])), call.shape, call.element)]
    }
}
