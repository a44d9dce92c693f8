import IR
import Reference
import Tensors
import Testing

/// The layouts of packed weights, each on an array made by hand.
struct UnpackingTests {
    /// 0 … 7, the first in the lowest bits.
    private static let ascending: Int32 = 0x7654_3210

    @Test func unpacksAlongEitherAxis() throws {
        let words = Tensor(ints: [Self.ascending, 0x1111_1111], [1, 2])
        #expect(try evaluate(Unpack(.u4, axis: 1), words)[0].ints == [0, 1, 2, 3, 4, 5, 6, 7, 1, 1, 1, 1, 1, 1, 1, 1])
        let down = try evaluate(Unpack(.u4, axis: 0), words)[0]
        #expect(down.shape == [8, 2])
        #expect(down.ints == [0, 1, 1, 1, 2, 1, 3, 1, 4, 1, 5, 1, 6, 1, 7, 1])
    }

    @Test func addsTheOffsetOfGPTQ() throws {
        #expect(try evaluate(Unpack(.u4, axis: 1, offset: 1), Tensor(ints: [-1], [1, 1]))[0].ints == Array(repeating: 16, count: 8))
    }

    @Test func unpacksBytesOfWords() throws {
        #expect(try evaluate(Unpack(.u8, axis: 1), Tensor(ints: [Int32(bitPattern: 0xFF80_0201)], [1, 1]))[0].ints == [1, 2, 128, 255])
    }

    @Test func unpacksSmallFloats() throws {
        func floats(_ element: CodeElement, _ bytes: [Int32]) throws -> [Float] {
            try evaluate(Unpack(element, axis: 1), Tensor(ints: bytes, [1, bytes.count], .u8))[0].floats
        }
        #expect(try floats(.f8e4m3, [0, 1, 8, 0x38, 0x7E, 0xB8]) == [0, 0x1p-9, 0x1p-6, 1, 448, -1])
        #expect(try floats(.f8e4m3, [0x7F, 0xFF]).allSatisfy(\.isNaN))
        #expect(try floats(.e2m1, [0x21, 0xF7]) == [0.5, 1, 6, -6])
        #expect(try floats(.e8m0, [127, 128, 124]) == [1, 2, 0.125])
    }

    @Test func dequantizesGroupsBlocksAndOrders() throws {
        let codes = Tensor(ints: [1, 2, 3, 4, 5, 6, 7, 8], [2, 4])
        let (scales, zeros) = (Tensor([1, 2, 3, 4], [2, 2]), Tensor(ints: [1, 1, 2, 2], [2, 2]))
        #expect(try evaluate(Dequantize(rows: 1, columns: 2, hasZeros: true), codes, scales, zeros)[0].floats == [0, 1, 4, 6, 9, 12, 20, 24])
        let blocks = try evaluate(Dequantize(rows: 2, columns: 3), codes, Tensor([1, 10], [1, 2]))[0]
        #expect(blocks.floats == [1, 2, 3, 40, 5, 6, 7, 80])
        let order = Tensor(ints: [1, 0, 1, 0], [4])
        let ordered = Dequantize(rows: 1, columns: 2, hasOrder: true)
        #expect(try evaluate(ordered, codes, scales, order)[0].floats == [2, 2, 6, 4, 20, 18, 28, 24])
    }

    /// Whatever a layout unpacks to, the words are those of AutoAWQ: here columns 0 … 7.
    @Test func writesAWQWords() throws {
        let codes = Tensor(ints: Array(0..<8), [1, 8])
        #expect(try evaluate(Int4Words(), codes)[0].ints == [0x7531_6420])
        #expect(throws: (any Error).self) { try evaluate(Int4Words(), Tensor(ints: Array(9..<17), [1, 8])) }
    }

    /// Ties go to the even code, the greatest number of a row is ±127, and a row of zeros has no codes but 0.
    @Test func roundsRowsToTheirOwnScales() throws {
        let rows = Tensor([127, -127, 0.5, 1.5, -2.5, 3, 0, 0, 0, 0, 0, 0, 1, -4, 2, 0.25, 0, 0], [3, 6])
        let scales = try evaluate(RowScales(), rows)[0]
        #expect(scales.floats == [1, 0, 4 / 127] && scales.shape == [3, 1])
        let codes = try evaluate(RowCodes(), rows, scales)[0]
        #expect(codes.element == .i8 && codes.ints == [127, -127, 0, 2, -2, 3, 0, 0, 0, 0, 0, 0, 32, -127, 64, 8, 0, 0])
        let wide = (0..<20).map { Float($0) - 9.5 }
        let squares = RowRounding.squares(wide, width: 10)
        let scale = wide.map { abs($0) }.max()! / 127
        let errors = wide.enumerated().map { index, value -> Double in
            let own = index < 10 ? scale : wide[10...].max()! / 127
            let difference = Double((value / own).rounded(.toNearestOrEven) * own - value)
            return difference * difference
        }
        #expect(abs(squares.error - errors.reduce(0, +)) < 1e-6 && abs(squares.weight - 665) < 1e-3)
    }

    @Test func sortsInputsByTheirGroups() throws {
        #expect(try evaluate(GroupOrder(group: 2), Tensor(ints: [2, 0, 1, 0, 2, 1], [6]))[0].ints == [1, 3, 2, 5, 0, 4])
        for groups: [Int32] in [[0, 0, 0, 1], [0, 0, 1, 2], [0, 0, -1, 1]] {
            #expect(throws: (any Error).self) { try evaluate(GroupOrder(group: 2), Tensor(ints: groups, [4])) }
        }
    }
}
