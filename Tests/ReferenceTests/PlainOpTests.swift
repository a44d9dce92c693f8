import IR
import Reference
import Tensors
import Testing

/// Plain ops against numbers worked out by hand.
@Suite struct PlainOpTests {
    struct Function: Sendable, CustomTestStringConvertible {
        var op: any Op
        var x: Float
        var y: Float
        var testDescription: String { "\(op.mnemonic)(\(x))" }
    }

    static let functions: [Function] = [
        .init(op: Neg(), x: 1.5, y: -1.5), .init(op: Square(), x: -3, y: 9), .init(op: Rsqrt(), x: 4, y: 0.5),
        .init(op: Exp(), x: 1, y: 2.718_281_8), .init(op: Exp(), x: -.infinity, y: 0), .init(op: Cos(), x: 0, y: 1),
        .init(op: Cos(), x: 3.141_592_7, y: -1), .init(op: Sin(), x: 1.570_796_4, y: 1), .init(op: Sigmoid(), x: 0, y: 0.5),
        .init(op: Sigmoid(), x: -100, y: 0), .init(op: Tanh(), x: 0.5, y: 0.462_117_16), .init(op: Erf(), x: 1, y: 0.842_700_8),
        .init(op: Reciprocal(), x: 8, y: 0.125),
    ]

    @Test(arguments: functions) func mapsNumbers(_ function: Function) throws {
        #expect(distance(try evaluate(function.op, vector(function.x))[0], vector(function.y)) < 1e-6)
    }

    @Test func casts() throws {
        #expect(try evaluate(Cast(to: .bf16), vector(1.003_906_25, 1.011_718_75, -3.14159))[0].floats == [1, 1.015625, -3.140625])
        #expect(try evaluate(Cast(to: .f16), vector(0.1, 70000))[0].floats == [0.099975586, .infinity])
        #expect(try evaluate(Cast(to: .i32), vector(2.9, -2.9, .nan, 1e20))[0].ints == [2, -2, 0, .max])
        #expect(try evaluate(Cast(to: .u8), vector(-1, 254.7, 300))[0].ints == [0, 254, 255])
        #expect(try evaluate(Cast(to: .bool), vector(0, 0.5))[0].ints == [0, 1])
        #expect(try evaluate(Cast(to: .f32), indices(-7))[0] == vector(-7))
    }

    @Test func broadcasts() throws {
        let (column, row) = (Tensor([1, 2], [2, 1]), vector(10, 20, 30))
        #expect(try evaluate(Add(), column, row)[0] == matrix([11, 21, 31], [12, 22, 32]))
        #expect(try evaluate(Sub(), row, column)[0] == matrix([9, 19, 29], [8, 18, 28]))
        #expect(try evaluate(Mul(), column, Tensor([3], []))[0] == Tensor([3, 6], [2, 1]))
        #expect(try evaluate(Div(), row, vector(4, 5, 8))[0] == vector(2.5, 4, 3.75))
        #expect(try evaluate(Maximum(), row, vector(15, 15, 15))[0] == vector(15, 20, 30))
        #expect(try evaluate(Minimum(), row, vector(15, 15, 15))[0] == vector(10, 15, 15))
        #expect(try evaluate(Add(), indices(1, .max), indices(2, 1))[0].ints == [3, .min])
        #expect(try evaluate(Div(), indices(-7, .min), indices(2, -1))[0].ints == [-3, .min])
        #expect(throws: EvaluationError.self) { try evaluate(Div(), indices(1), indices(0)) }
        let mask = Tensor(ints: [1, 0, 1], [3], .bool)
        #expect(try evaluate(Where(), mask, column, Tensor([-9], []))[0] == matrix([1, -9, 1], [2, -9, 2]))
    }

    @Test func reduces() throws {
        let x = matrix([1, 2, 6], [-1, -2, -6])
        #expect(try evaluate(Sum(), x)[0] == Tensor([9, -9], [2, 1]))
        #expect(try evaluate(Mean(), x)[0] == Tensor([3, -3], [2, 1]))
        #expect(try evaluate(Max(), x)[0] == Tensor([6, -1], [2, 1]))
        #expect(try evaluate(Sum(axis: 0), x)[0] == matrix([0, 0, 0]))
        let rows = matrix([0, 0.693_147_2, -.infinity], [-.infinity, -.infinity, -.infinity])
        #expect(distance(try evaluate(Softmax(), rows)[0], matrix([1.0 / 3, 2.0 / 3, 0], [0, 0, 0])) < 1e-6)
        #expect(distance(try evaluate(Softmax(axis: 0), matrix([5, 1], [5, 1]))[0], matrix([0.5, 0.5], [0.5, 0.5])) < 1e-6)
    }

    @Test func multiplies() throws {
        let (a, b) = (matrix([1, 2], [3, 4]), matrix([5, 6], [7, 8]))
        #expect(try evaluate(Matmul(), a, b)[0] == matrix([19, 22], [43, 50]))
        #expect(try evaluate(Matmul(transposeB: true), a, b)[0] == matrix([17, 23], [39, 53]))
        let batch = Tensor([1, 0, 0, 1, 2, 0, 0, 2], [2, 2, 2])
        #expect(try evaluate(Matmul(), batch, b)[0] == Tensor([5, 6, 7, 8, 10, 12, 14, 16], [2, 2, 2]))
        #expect(try evaluate(Matmul(), Tensor([], [0, 2]), b)[0] == Tensor([], [0, 2]))
        #expect(try evaluate(Matmul(), Tensor([], [2, 0]), Tensor([], [0, 1]))[0] == Tensor([0, 0], [2, 1]))
    }

    @Test(arguments: [false, true]) func blasAgreesWithLoops(transposeB: Bool) throws {
        let (a, b) = (noise([3, 40, 50], seed: 1), noise(transposeB ? [30, 50] : [50, 30], seed: 2))
        let y = try evaluate(Matmul(transposeB: transposeB), a, b)[0]
        let (left, right) = (a.floats, b.floats)
        var expected: [Float] = []
        for i in 0..<3 * 40 {
            for j in 0..<30 {
                var sum: Float = 0
                for k in 0..<50 { sum += left[i * 50 + k] * right[transposeB ? j * 50 + k : k * 30 + j] }
                expected.append(sum)
            }
        }
        #expect(distance(y, Tensor(expected, [3, 40, 30])) < 1e-4)
    }

    @Test func moves() throws {
        let x = Tensor([0, 1, 2, 3, 4, 5], [2, 3])
        #expect(try evaluate(Reshape([3, 2]), x)[0] == Tensor([0, 1, 2, 3, 4, 5], [3, 2]))
        #expect(try evaluate(Transpose([1, 0]), x)[0] == Tensor([0, 3, 1, 4, 2, 5], [3, 2]))
        let cube = Tensor((0..<12).map(Float.init), [2, 3, 2])
        #expect(try evaluate(Transpose([1, 2, 0]), cube)[0].floats == [0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11])
        #expect(try evaluate(Slice(axis: -1, start: 1, end: 3), x)[0] == matrix([1, 2], [4, 5]))
        #expect(try evaluate(Slice(axis: 0, start: 1, end: 2), x)[0] == matrix([3, 4, 5]))
        #expect(try evaluate(Concat(axis: 1), x, Tensor([8, 9], [2, 1]))[0] == matrix([0, 1, 2, 8], [3, 4, 5, 9]))
        #expect(try evaluate(Concat(axis: 0), x, matrix([7, 8, 9]))[0] == matrix([0, 1, 2], [3, 4, 5], [7, 8, 9]))
        #expect(try evaluate(Expand([2, 2, 3]), matrix([1, 2, 3]))[0].floats == [1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3])
        #expect(try evaluate(Repeat(axis: 0, count: 2), x)[0] == matrix([0, 1, 2], [0, 1, 2], [3, 4, 5], [3, 4, 5]))
        #expect(try evaluate(Repeat(axis: 1, count: 2), x)[0].floats == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5])
        #expect(try evaluate(Slice(axis: 0, start: 1, end: 1), indices(4, 5))[0].ints == [])
    }

    @Test func picksAndStoresRows() throws {
        let table = matrix([1, 2], [3, 4], [5, 6])
        #expect(try evaluate(Gather(), table, indices(2, 0, 2))[0] == matrix([5, 6], [1, 2], [5, 6]))
        #expect(throws: EvaluationError.self) { try evaluate(Gather(), table, indices(3)) }
        #expect(throws: EvaluationError.self) { try evaluate(Gather(), table, indices(-1)) }
        let other = matrix([10, 20], [30, 40])
        #expect(try evaluate(SelectRows(), table, other, indices(-1, 1, 0))[0] == matrix([1, 2], [30, 40], [10, 20]))
        #expect(throws: EvaluationError.self) { try evaluate(SelectRows(), table, other, indices(-1, 2, 0)) }
        #expect(try evaluate(SelectRows(), table, Tensor([], [0, 2]), indices(-1, -1, -1))[0] == table)
        let rows = matrix([10, 20], [30, 40])
        #expect(try evaluate(KVWrite(), table, rows, indices(2, -1))[0] == matrix([1, 2], [3, 4], [10, 20]))
        #expect(throws: EvaluationError.self) { try evaluate(KVWrite(), table, rows, indices(3, 0)) }
    }

    /// Rows of two sequences in turns; the second begins in the middle, a row between them is padding.
    @Test func convolvesAlongSequences() throws {
        let state = Tensor([1, 2, 9, 9], [2, 2, 1])
        let (x, w) = (Tensor([3, 5, 7, 4], [4, 1]), matrix([100, 10, 1]))
        let outcome = try evaluate(ShortConvolution(), state, x, w, indices(0, 1, -1, 0), indices(2, 0, 0, 3))
        #expect(outcome[0].floats == [123, 5, 0, 234])
        #expect(outcome[1] == Tensor([3, 4, 0, 5], [2, 2, 1]))
        #expect(throws: EvaluationError.self) { try evaluate(ShortConvolution(), state, x, w, indices(0, 2, -1, 0), indices(2, 0, 0, 3)) }
    }

    /// Two heads over one key: the memory decays, is corrected by what it lacks of the value, and is read by the query.
    @Test func correctsItsMemory() throws {
        let state = Tensor([1, 2, 3, 4], [1, 2, 2, 1])
        let q = Tensor([1, 1, 1, 0], [2, 1, 2]), k = Tensor([1, 0, 0, 1], [2, 1, 2])
        let v = Tensor([10, 20, 30, 40], [2, 2, 1])
        let decay = matrix([0.5, 1], [1, 0.5]), gain = matrix([1, 0.5], [0.5, 1])
        let outcome = try evaluate(GatedDelta(), state, q, k, v, decay, gain, indices(0, 0), indices(1, 2))
        // Head 0: [1, 2] → [0.5, 1] → [10, 1], read 11; [10, 1] → + 0.5 · 29 on the second, read 10.
        // Head 1: [3, 4] → + 0.5 · 17 on the first, read 15.5; → [5.75, 2] → [5.75, 40], read 5.75.
        #expect(outcome[0].floats == [11, 15.5, 10, 5.75])
        #expect(outcome[1].floats == [10, 15.5, 5.75, 40])
        let anew = try evaluate(GatedDelta(), state, q, k, v, decay, gain, indices(0, -1), indices(0, 0))
        #expect(anew[0].floats == [10, 10, 0, 0] && anew[1].floats == [10, 0, 10, 0])
    }

    @Test func literals() throws {
        #expect(try evaluate(Literal(0.1, .init(.bf16, [2])))[0].floats == [0.100_097_656_25, 0.100_097_656_25])
        #expect(try evaluate(Literal(-3, .init(.i32, [])))[0].ints == [-3])
        #expect(try evaluate(Constant([1, 2.5], .init(.f32, [2])))[0] == vector(1, 2.5))
        #expect(try evaluate(Constant([0, 1], .init(.bool, [2])))[0].ints == [0, 1])
        #expect(throws: EvaluationError.self) { try evaluate(Literal(1e12, .init(.i64, []))) }
    }

    /// AutoAWQ puts column 8j + i into the nibble [0, 4, 1, 5, 2, 6, 3, 7][i].
    @Test func unpacksAWQ() throws {
        func pack(_ columns: [Int32]) -> Int32 {
            zip(columns, [0, 4, 1, 5, 2, 6, 3, 7]).reduce(0) { $0 | ($1.0 << (4 * Int32($1.1))) }
        }
        let weight = Tensor(ints: [pack([0, 1, 2, 3, 4, 5, 6, 15]), pack([8, 8, 8, 8, 8, 8, 8, 8])], [2, 1])
        let zeros = Tensor(ints: [pack([0, 0, 0, 0, 8, 8, 8, 8]), pack([7, 7, 7, 7, 9, 9, 9, 9])], [2, 1])
        let scales = Tensor([1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 2, 2, 2, 2, 2, 2, 2, 2], [2, 8], .f16)
        let w = try evaluate(DequantizeAWQ(group: 1), weight, zeros, scales)[0]
        #expect(w == matrix([0, 2], [1, 2], [2, 2], [3, 2], [-2, -2], [-1.5, -2], [-1, -2], [3.5, -2]))
    }
}
