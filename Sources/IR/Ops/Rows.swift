package import Tensors

/// Rows of `x` by number: `y[i…] = x[index[i…]]`; an index out of range is an error of the caller.
package struct Gather: Op {
    package init() {}

    package static let schema = OpSchema(
        "gather", "Rows of `x` by number: `y[i…] = x[index[i…]]`.", blank: Gather(), operands: ["x", "index"])

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        try TypeRules.minimumRank(operands[0], 1, "x")
        try TypeRules.element(operands[1], .i32, "index")
        return [TensorType(operands[0].element, Shape(operands[1].shape.dims + operands[0].shape.dims.dropFirst()))]
    }

    /// Moves data only.
    package func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double { 0 }
}

/// Columns of a matrix by number: `y[r, j] = x[r, index[j]]`, the rows of the transposed matrix that `gather` takes.
package struct GatherColumns: Op {
    package init() {}

    package static let schema = OpSchema(
        "gather_columns", "Columns of `x` by number: `y[r, j] = x[r, index[j]]`.", blank: GatherColumns(), operands: ["x", "index"], isFused: true)

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        try TypeRules.rank(operands[0], 2, "x")
        try TypeRules.element(operands[1], .i32, "index")
        try TypeRules.rank(operands[1], 1, "index")
        return [TensorType(operands[0].element, [operands[0].shape[0], operands[1].shape[0]])]
    }

    /// Moves data only.
    package func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double { 0 }
}

/// Rows of one of two tables: `y[t] = index[t] < 0 ? a[t] : b[index[t]]`.
package struct SelectRows: Op {
    package init() {}

    package static let schema = OpSchema(
        "select_rows", "Rows of one of two tables: `y[t] = index[t] < 0 ? a[t] : b[index[t]]`.", blank: SelectRows(),
        operands: ["a", "b", "index"])

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        let (a, b, index) = (operands[0], operands[1], operands[2])
        try TypeRules.rank(a, 2, "a")
        try TypeRules.rank(b, 2, "b")
        try TypeRules.element(b, a.element, "b")
        try TypeRules.same(b.shape[1], a.shape[1], "rows of b and a differ in length")
        try TypeRules.element(index, .i32, "index")
        try TypeRules.shape(index, [a.shape[0]], "index")
        return [a]
    }

    /// Moves data only.
    package func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double { 0 }
}

/// Stores rows into a cache: `y = cache` but `y[slots[t]] = rows[t]`; a negative slot stores nothing.
package struct KVWrite: Op {
    package init() {}

    package static let schema = OpSchema(
        "kv_write", "The cache with rows stored: `y = cache` but `y[slots[t]] = rows[t]`; a negative slot stores nothing.",
        blank: KVWrite(), operands: ["cache", "rows", "slots"])

    package var updates: [Int?] { [0] }

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        let (cache, rows, slots) = (operands[0], operands[1], operands[2])
        try TypeRules.minimumRank(cache, 2, "cache")
        try TypeRules.rank(rows, cache.shape.rank, "rows")
        try TypeRules.element(rows, cache.element, "rows")
        try TypeRules.shape(rows, cache.shape.replacing(0, with: rows.shape[0]), "rows")
        try TypeRules.element(slots, .i32, "slots")
        try TypeRules.shape(slots, [rows.shape[0]], "slots")
        return [cache]
    }

    /// Moves data only.
    package func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double { 0 }
}

/// Stores rows of keys and values of one layer at once: both results are as `kv_write` makes them.
package struct StoreKV: Op {
    package init() {}

    package static let schema = OpSchema(
        "kv_store", "Keys and values of a layer with rows stored, as `kv_write` stores each.", blank: StoreKV(),
        operands: ["keys", "values", "k", "v", "slots"], results: ["keys", "values"], isFused: true)

    package var updates: [Int?] { [0, 1] }

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        let keys = try KVWrite().infer([operands[0], operands[2], operands[4]])
        return keys + (try KVWrite().infer([operands[1], operands[3], operands[4]]))
    }

    /// Moves data only.
    package func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double { 0 }
}

extension OpWriter {
    package func gather(_ x: Operand, _ index: Operand) -> Operand { one(Gather(), x, index) }
    package func gatherColumns(_ x: Operand, _ index: Operand) -> Operand { one(GatherColumns(), x, index) }
    package func selectRows(_ a: Operand, _ b: Operand, _ index: Operand) -> Operand { one(SelectRows(), a, b, index) }
    package func storeKV(
        keys: Operand, values: Operand, k: Operand, v: Operand, slots: Operand
    ) -> (keys: Operand, values: Operand) {
        let results = write(StoreKV(), [keys, values, k, v, slots])
        return (results[0], results[1])
    }
    package func kvWrite(_ cache: Operand, _ rows: Operand, _ slots: Operand) -> Operand { one(KVWrite(), cache, rows, slots) }
}

enum Rows {
    static let ops: [any Op.Type] = [Gather.self, GatherColumns.self, SelectRows.self, KVWrite.self, StoreKV.self]
}
