import CKernels
import Glibc
import Seeded
import Testing

/// The plain kernels over memory that ends at a guard page, and over any split of their items.
@Suite struct StridedTests {
    private static func strided<Element>(_ buffer: Guarded<Element>, _ element: vlm_element, _ strides: Guarded<Int64>) -> vlm_strided {
        vlm_strided(base: UnsafeMutableRawPointer(buffer.pointer), element: element, stride: UnsafePointer(strides.pointer))
    }

    /// Runs all items in pieces of odd sizes.
    private static func run(_ items: Int64, _ body: (Int64, Int64) -> vlm_status) {
        #expect(items >= 0)
        var begin: Int64 = 0
        for size in [1, 3, 2, 7, Int64.max] where begin < items {
            let end = begin + min(size, items - begin)
            #expect(body(begin, end) == VLM_OK)
            begin = end
        }
        #expect(begin == items)
    }

    @Test("functions agree with f64 mathematics, in place too")
    func functions() {
        let cases: [(vlm_map_op, (Double) -> Double, Double)] = [
            (VLM_MAP_NEG, { -$0 }, 0), (VLM_MAP_SQUARE, { $0 * $0 }, 1), (VLM_MAP_SQRT, { $0.squareRoot() }, 1),
            (VLM_MAP_RSQRT, { 1 / $0.squareRoot() }, 2), (VLM_MAP_EXP, { exp($0) }, 2), (VLM_MAP_LOG, { log($0) }, 1),
            (VLM_MAP_COS, { cos($0) }, 1), (VLM_MAP_SIN, { sin($0) }, 1), (VLM_MAP_SIGMOID, { 1 / (1 + exp(-$0)) }, 4),
            (VLM_MAP_TANH, { tanh($0) }, 4), (VLM_MAP_ERF, { erf($0) }, 4), (VLM_MAP_SOFTPLUS, { log1p(exp($0)) }, 3),
            (VLM_MAP_RECIPROCAL, { 1 / $0 }, 1),
        ]
        let step = Guarded<Int64>([1]), extent = Guarded<Int64>([1003])
        for (op, function, bound) in cases {
            let x = (0..<1003).map { 1e-3 + Float($0) * 0.02 }
            let memory = Guarded(x)
            var args = vlm_map_args()
            (args.op, args.axes, args.extent) = (op, 1, UnsafePointer(extent.pointer))
            args.x.0 = Self.strided(memory, VLM_ELEMENT_F32, step)
            args.y = args.x.0
            Self.run(vlm_map_items(&args)) { vlm_map(&args, $0, $1) }
            let worst = zip(memory.values, x).map { ulps($0, function(Double($1))) }.max() ?? .infinity
            #expect(worst <= bound + 0.5, "op \(op.rawValue): \(worst) ulp")
        }
        withExtendedLifetime((step, extent)) {}
    }

    @Test("logarithms at the ends of their range")
    func logarithms() {
        let x = Guarded<Float>([0, -1, .infinity, 1, .nan, .leastNonzeroMagnitude]), y = Guarded(6) { _ in Float(9) }
        let step = Guarded<Int64>([1]), extent = Guarded<Int64>([6])
        var args = vlm_map_args()
        (args.op, args.axes, args.extent) = (VLM_MAP_LOG, 1, UnsafePointer(extent.pointer))
        (args.x.0, args.y) = (Self.strided(x, VLM_ELEMENT_F32, step), Self.strided(y, VLM_ELEMENT_F32, step))
        #expect(vlm_map(&args, 0, vlm_map_items(&args)) == VLM_OK)
        #expect(y[0] == -.infinity && y[1].isNaN && y[2] == .infinity && y[3] == 0 && y[4].isNaN)
        #expect(abs(y[5] + 103.27893) < 1e-4)
        withExtendedLifetime((x, step, extent)) {}
    }

    @Test("f16 rounds to nearest even over its whole range")
    func halves() {
        var random = Dice(3)
        let special: [Float] = [0, -0.0, 65504, 65519, 65520, 1e9, -.infinity, 5.9604645e-8, 2.9802322e-8, 2.9802326e-8, 6.1e-5, 1.00048828125]
        let x = Guarded(special + (0..<4000).map { _ in Float.random(in: -8...8, using: &random) * exp2f(Float.random(in: -24...14, using: &random)) })
        let y = Guarded(x.count) { _ in UInt16(0) }, step = Guarded<Int64>([1]), extent = Guarded<Int64>([Int64(x.count)])
        var args = vlm_map_args()
        (args.op, args.axes, args.extent) = (VLM_MAP_COPY, 1, UnsafePointer(extent.pointer))
        (args.x.0, args.y) = (Self.strided(x, VLM_ELEMENT_F32, step), Self.strided(y, VLM_ELEMENT_F16, step))
        #expect(vlm_map(&args, 0, vlm_map_items(&args)) == VLM_OK)
        #expect(zip(y.values, x.values).allSatisfy { $0 == Float16($1).bitPattern })
        withExtendedLifetime((step, extent)) {}
    }

    @Test("copies between strides stay inside", arguments: 0..<40)
    func copies(seed: Int) {
        var random = Dice(UInt64(seed))
        let extents = (0..<3).map { _ in Int64.random(in: 1...5, using: &random) }
        let count = Int(extents.reduce(1, *))
        let order = [0, 1, 2].shuffled(using: &random)
        let x = Guarded(random.floats(count)), y = Guarded(count) { _ in Float.nan }
        let dense = [extents[1] * extents[2], extents[2], 1]
        let walk = Guarded(order.map { extents[$0] }), from = Guarded(order.map { dense[$0] })
        let to = Guarded<Int64>([walk[1] * walk[2], walk[2], 1])
        var args = vlm_map_args()
        (args.op, args.axes, args.extent) = (VLM_MAP_COPY, 3, UnsafePointer(walk.pointer))
        (args.x.0, args.y) = (Self.strided(x, VLM_ELEMENT_F32, from), Self.strided(y, VLM_ELEMENT_F32, to))
        Self.run(vlm_map_items(&args)) { vlm_map(&args, $0, $1) }
        for i in 0..<walk[0] {
            for j in 0..<walk[1] {
                for k in 0..<walk[2] {
                    let place = Int(i * from[0] + j * from[1] + k * from[2])
                    #expect(y[Int(i * to[0] + j * to[1] + k)] == x[place])
                }
            }
        }
    }

    @Test("the largest in falling order, equals in theirs, NaN last")
    func largest() {
        let x = Guarded<Float>([1, 3, .nan, 3, -.infinity, 2]), y = Guarded(6) { _ in Float(0) }, places = Guarded(6) { _ in Int32(-1) }
        let none = Guarded<Int64>([0])
        var args = vlm_along_args()
        (args.op, args.count, args.kept) = (VLM_ALONG_TOP_K, 6, 6)
        (args.x_step, args.y_step, args.chosen_step) = (1, 1, 1)
        (args.x, args.y) = (Self.strided(x, VLM_ELEMENT_F32, none), Self.strided(y, VLM_ELEMENT_F32, none))
        args.chosen = Self.strided(places, VLM_ELEMENT_I32, none)
        #expect(vlm_along_items(&args) == 1 && vlm_along(&args, 0, 1) == VLM_OK)
        #expect(Array(y.values[..<5]) == [3, 3, 2, 1, -.infinity] && Array(places.values[..<5]) == [1, 3, 5, 0, 4])
        args.kept = 7
        #expect(vlm_along_items(&args) == -1 && vlm_along(&args, 0, 1) == VLM_BAD_SHAPE)
        withExtendedLifetime((x, none)) {}
    }

    @Test("products of any strides", arguments: 0..<20)
    func products(seed: Int) {
        var random = Dice(UInt64(seed))
        let (m, n, k) = (Int.random(in: 1...6, using: &random), Int.random(in: 1...300, using: &random), Int.random(in: 1...40, using: &random))
        let a = Guarded(random.floats(2 * m * k)), b = Guarded(random.floats(2 * n * k)), y = Guarded(2 * m * n) { _ in Float.nan }
        let transposed = seed % 2 == 0
        let batch = Guarded<Int64>([2]), steps = [m * k, n * k, m * n].map { Guarded([Int64($0)]) }
        var args = vlm_matmul_args()
        (args.axes, args.extent, args.m, args.n, args.k) = (1, UnsafePointer(batch.pointer), Int64(m), Int64(n), Int64(k))
        args.a = Self.strided(a, VLM_ELEMENT_F32, steps[0])
        args.b = Self.strided(b, VLM_ELEMENT_F32, steps[1])
        args.y = Self.strided(y, VLM_ELEMENT_F32, steps[2])
        (args.a_row, args.a_step, args.y_row, args.y_column) = (Int64(k), 1, Int64(n), 1)
        (args.b_step, args.b_column) = transposed ? (1, Int64(k)) : (Int64(n), 1)
        Self.run(vlm_matmul_items(&args)) { vlm_matmul(&args, $0, $1) }
        withExtendedLifetime((batch, steps)) {}
        var expected: [Double] = []
        for batch in 0..<2 {
            for i in 0..<m {
                for j in 0..<n {
                    expected.append((0..<k).reduce(0.0) { sum, l in
                        sum + Double(a[batch * m * k + i * k + l]) * Double(b[batch * n * k + (transposed ? j * k + l : l * n + j)])
                    })
                }
            }
        }
        #expect(relativeError(y.values, expected) < 1e-5)
    }

    @Test("an index outside of the table writes nothing")
    func indices() {
        let x = Guarded<Float>([1, 2, 3, 4]), y = Guarded(4) { _ in Float(0) }
        let one = Guarded<Int64>([1]), row = Guarded<Int64>([2]), count = Guarded<Int64>([2])
        for (index, status, result) in [([1, 0], VLM_OK, [3, 4, 1, 2]), ([1, 2], VLM_BAD_INDEX, [0, 0, 0, 0]), ([-1, 0], VLM_BAD_INDEX, [0, 0, 0, 0])] as [([Int32], vlm_status, [Float])] {
            let numbers = Guarded(index)
            for i in 0..<4 { y[i] = 0 }
            var args = vlm_pick_args()
            (args.index_axes, args.index_extent, args.rows) = (1, UnsafePointer(count.pointer), 2)
            (args.axes, args.extent, args.x_row) = (1, UnsafePointer(count.pointer), 2)
            args.index = Self.strided(numbers, VLM_ELEMENT_I32, one)
            (args.x, args.y) = (Self.strided(x, VLM_ELEMENT_F32, one), Self.strided(y, VLM_ELEMENT_F32, one))
            args.y_stride = UnsafePointer(row.pointer)
            #expect(vlm_pick(&args, 0, vlm_pick_items(&args)) == status)
            #expect(y.values == result)
            withExtendedLifetime((x, one, row, count, numbers)) {}
        }
    }
}
