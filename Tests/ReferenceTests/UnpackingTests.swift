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

    /// What codes, zeros and scales of groups mean is no further from the weight than it is with the whole range, and often nearer.
    @Test func roundsGroupsToTheirOwnZerosAndScales() throws {
        var row = [Float](repeating: 0, count: 128)
        for index in 0..<32 {
            row[index] = Float(index % 16) - 5
            row[32 + index] = Float(index * 37 % 64) / 32 - 1
            row[96 + index] = index == 3 ? 1 : Float(index % 5) / 40
        }
        let w = Tensor(row, [1, 128])
        let zeros = try evaluate(GroupZeros(group: 32), w)[0]
        #expect(zeros.ints == [5, 8, 0, 0] && zeros.shape == [1, 4])
        let scales = try evaluate(GroupScales(group: 32), w, zeros)[0]
        let ranges: [Float] = [15, 1.96875, 0, 1]
        #expect(scales.floats[0] == 1 && scales.floats[2] == 0 && zip(scales.floats, ranges).allSatisfy { $0 <= $1 / 15 * 1.001 })
        #expect(scales.floats.allSatisfy { Float(Float16($0)) == $0 })
        let codes = try evaluate(GroupCodes(group: 32), w, scales, zeros)[0]
        #expect(codes.ints[..<32] == ((0..<32).map { Int32($0 % 16) })[...] && codes.ints[64..<96].allSatisfy { $0 == 0 })
        func error(_ scales: [Float]) throws -> [Float] {
            let scales = Tensor(scales.map { Float(Float16($0)) }, [1, 4])
            let codes = try evaluate(GroupCodes(group: 32), w, scales, zeros)[0]
            let made = try evaluate(Dequantize(rows: 1, columns: 32, hasZeros: true), codes, scales, zeros)[0].floats
            var errors: [Float] = [0, 0, 0, 0]
            for (index, value) in row.enumerated() { errors[index / 32] += (made[index] - value) * (made[index] - value) }
            return errors
        }
        let (chosen, whole) = (try error(scales.floats), try error(ranges.map { $0 / 15 }))
        #expect(chosen[0] == 0 && chosen[2] == 0 && chosen[1] <= whole[1] && chosen[3] < whole[3])
        let squares = GroupRounding.squares(row, group: 32)
        #expect(abs(squares.error - Double(chosen.reduce(0, +))) < 1e-6)
        #expect(abs(squares.weight - row.reduce(0.0) { $0 + Double($1 * $1) }) < 1e-3)
    }

    /// The greatest and least numbers of f32, and such that no scale of f16 reaches.
    @Test func roundsGroupsOfExtremes() throws {
        for values: [Float] in [[3e38, -3e38], [Float.leastNonzeroMagnitude, 0], [1e-30, -1e-30], [.greatestFiniteMagnitude, 0]] {
            let w = Tensor((0..<32).map { values[$0 % 2] }, [1, 32])
            let zeros = try evaluate(GroupZeros(group: 32), w)[0]
            let scales = try evaluate(GroupScales(group: 32), w, zeros)[0]
            let codes = try evaluate(GroupCodes(group: 32), w, scales, zeros)[0]
            #expect(zeros.ints.allSatisfy { (0...15).contains($0) } && codes.ints.allSatisfy { (0...15).contains($0) } && scales.floats == [0])
        }
    }

    @Test func sortsInputsByTheirGroups() throws {
        #expect(try evaluate(GroupOrder(group: 2), Tensor(ints: [2, 0, 1, 0, 2, 1], [6]))[0].ints == [1, 3, 2, 5, 0, 4])
        for groups: [Int32] in [[0, 0, 0, 1], [0, 0, 1, 2], [0, 0, -1, 1]] {
            #expect(throws: (any Error).self) { try evaluate(GroupOrder(group: 2), Tensor(ints: groups, [4])) }
        }
    }
}
