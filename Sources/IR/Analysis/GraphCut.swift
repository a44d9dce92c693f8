import Tensors

/// What a box of one result of a graph is made of: the same ops over boxes of its weights, for graphs without inputs.
///
/// So a weight of any size is computed a few rows at a time: `w[lo ..< hi]` of `cast(transpose(unpack(%q)))` reads those columns of `%q`.
package struct GraphCut: Sendable {
    /// A part of a weight: a range of each axis.
    package struct Part: Sendable, Hashable {
        package var weight: String
        package var box: [Range<Int>]
    }

    /// Weights have names of their own, which `parts` tells.
    package private(set) var graph: Graph
    package private(set) var parts: [String: Part] = [:]
    private let source: Graph
    private var made: [Wanted: ValueID] = [:]

    private struct Wanted: Hashable {
        let value: ValueID
        let box: [Range<Int>]
    }

    /// The most elements of a value that is computed whole for a box of the result, such as a list of numbers of rows.
    private static let wholeMax = 1 << 16

    /// The boxes of all results; nil where an op cannot be told apart by boxes.
    package init?(_ source: Graph, boxes: [[Range<Int>]]) {
        self.source = source
        graph = Graph(name: source.name)
        guard source.inputs.isEmpty, source.states.isEmpty, boxes.count == source.results.count else { return nil }
        for (result, box) in zip(source.results, boxes) {
            guard let value = cut(result, box) else { return nil }
            graph.results.append(value)
        }
    }

    private mutating func add(_ op: any Op, _ operands: [ValueID]) -> ValueID? {
        guard let types = try? op.infer(operands.map(graph.type(of:))) else { return nil }
        return graph.addNode(op, operands, types: types, origin: "").results.first
    }

    private mutating func cut(_ value: ValueID, _ box: [Range<Int>]) -> ValueID? {
        let wanted = Wanted(value: value, box: box)
        if let known = made[wanted] { return known }
        guard let node = source.producer(of: value), let extents = source.type(of: value).shape.fixed, extents.count == box.count,
            zip(extents, box).allSatisfy({ (0...$0).contains($1.lowerBound) && $1.upperBound <= $0 && !$1.isEmpty }),
            let result = part(of: node, box)
        else { return nil }
        made[wanted] = result
        return result
    }

    private mutating func cutAll(_ values: [ValueID], _ box: [Range<Int>]) -> [ValueID]? {
        var result: [ValueID] = []
        for value in values {
            guard let next = cut(value, box) else { return nil }
            result.append(next)
        }
        return result
    }

    /// A small value as it is.
    private mutating func whole(_ value: ValueID) -> ValueID? {
        guard let extents = source.type(of: value).shape.fixed, extents.reduce(1, *) <= Self.wholeMax else { return nil }
        return cut(value, extents.map { 0..<$0 })
    }

    private func extents(_ value: ValueID) -> [Int] { source.type(of: value).shape.fixed ?? [] }

    /// `value`, which is the box `have` of something, cut to the box `wanted` of it.
    private mutating func trimmed(_ value: ValueID, _ have: [Range<Int>], to wanted: [Range<Int>]) -> ValueID? {
        var value = value
        for (axis, (old, new)) in zip(have, wanted).enumerated() where old != new {
            let slice = Slice(axis: axis, start: new.lowerBound - old.lowerBound, end: new.upperBound - old.lowerBound)
            guard let next = add(slice, [value]) else { return nil }
            value = next
        }
        return value
    }

    private mutating func part(of node: Node, _ box: [Range<Int>]) -> ValueID? {
        let x = node.operands
        let shape = Shape(box.map { .fixed($0.count) })
        switch node.op {
        case let op as Weight:
            let name = "\(op.name) \(box)"
            parts[name] = Part(weight: op.name, box: box)
            return add(Weight(name, TensorType(op.type.element, shape)), [])
        case let op as Literal: return add(Literal(op.value, TensorType(op.type.element, shape)), [])
        case is any UnaryOp, is Cast, is Copy: return cut(x[0], box).flatMap { add(node.op, [$0]) }
        case is any BinaryOp:
            guard let a = stretched(x[0], box), let b = stretched(x[1], box) else { return nil }
            return add(node.op, [a, b])
        case is Expand: return stretched(x[0], box).flatMap { add(Expand(shape), [$0]) }
        case let op as Transpose:
            var moved = box
            for (to, from) in op.perm.enumerated() { moved[from] = box[to] }
            return cut(x[0], moved).flatMap { add(op, [$0]) }
        case let op as Slice:
            var moved = box
            moved[op.axis] = box[op.axis].lowerBound + op.start..<box[op.axis].upperBound + op.start
            return cut(x[0], moved)
        case let op as Concat: return joined(op, x, box)
        case let op as Repeat:
            let (read, whole) = Self.outward(box, op.axis, times: op.count)
            return cut(x[0], read).flatMap { add(op, [$0]) }.flatMap { trimmed($0, whole, to: box) }
        case is Gather: return gathered(x, box)
        case is Reshape: return reshaped(x[0], extents(node.result), box)
        default: return unpacked(node, box)
        }
    }

    /// The box of what is unpacked, or lies in words.
    private mutating func unpacked(_ node: Node, _ box: [Range<Int>]) -> ValueID? {
        let x = node.operands
        switch node.op {
        case let op as Unpack:
            let (read, whole) = Self.outward(box, op.axis, times: op.element.count)
            return cut(x[0], read).flatMap { add(op, [$0]) }.flatMap { trimmed($0, whole, to: box) }
        case is RowScales: return cut(x[0], [box[0], 0..<extents(x[0])[1]]).flatMap { add(node.op, [$0]) }
        case is RowCodes:
            guard let rows = cut(x[0], box), let scales = cut(x[1], [box[0], 0..<1]) else { return nil }
            return add(node.op, [rows, scales])
        case let op as GroupZeros: return grouped(op, x, box, of: op.group)
        case let op as GroupScales: return grouped(op, x, box, of: op.group)
        case let op as GroupCodes:
            let (groups, whole) = Self.outward(box, 1, times: op.group)
            return grouped(op, x, groups, of: op.group).flatMap { trimmed($0, whole, to: box) }
        case let op as Int4Words:
            return cut(x[0], [box[0], box[1].lowerBound * 8..<box[1].upperBound * 8]).flatMap { add(op, [$0]) }
        case is GroupOrder:
            let all = [0..<extents(node.result)[0]]
            return whole(x[0]).flatMap { add(node.op, [$0]) }.flatMap { trimmed($0, all, to: box) }
        case let op as Dequantize: return dequantized(op, node, box)
        case let op as DequantizeAWQ:
            guard box[1] == 0..<extents(node.result)[1] else { return nil }
            let (words, whole) = Self.outward(box, 0, times: 8)
            let groups = 0..<extents(x[2])[0]
            let zeros = source.type(of: x[1]).element == .i32 ? words[0] : whole[0]
            guard let weight = cut(x[0], [box[1], words[0]]), let zero = cut(x[1], [groups, zeros]), let scale = cut(x[2], [groups, whole[0]])
            else { return nil }
            return add(op, [weight, zero, scale]).flatMap { trimmed($0, whole, to: box) }
        default: return nil
        }
    }

    /// What an op makes of a box of groups: of `size` inputs each of the weight, which comes first, and of one number each of the others.
    private mutating func grouped(_ op: any Op, _ operands: [ValueID], _ box: [Range<Int>], of size: Int) -> ValueID? {
        guard let weight = cut(operands[0], [box[0], box[1].lowerBound * size..<box[1].upperBound * size]),
            let others = cutAll(Array(operands.dropFirst()), box)
        else { return nil }
        return add(op, [weight] + others)
    }

    /// `box` in the elements that each stand for `times`, and what they are together.
    private static func outward(_ box: [Range<Int>], _ axis: Int, times: Int) -> (read: [Range<Int>], whole: [Range<Int>]) {
        var (read, whole) = (box, box)
        read[axis] = box[axis].lowerBound / times..<(box[axis].upperBound + times - 1) / times
        whole[axis] = read[axis].lowerBound * times..<read[axis].upperBound * times
        return (read, whole)
    }

    /// What of `value` meets the box after broadcasting.
    private mutating func stretched(_ value: ValueID, _ box: [Range<Int>]) -> ValueID? {
        let own = extents(value)
        return cut(value, zip(own, box.suffix(own.count)).map { $0 == 1 ? 0..<1 : $1 })
    }

    private mutating func joined(_ op: Concat, _ operands: [ValueID], _ box: [Range<Int>]) -> ValueID? {
        var pieces: [ValueID] = []
        var start = 0
        for operand in operands {
            let extent = extents(operand)[op.axis]
            let here = (start..<start + extent).clamped(to: box[op.axis])
            if !here.isEmpty {
                var inside = box
                inside[op.axis] = here.lowerBound - start..<here.upperBound - start
                guard let piece = cut(operand, inside) else { return nil }
                pieces.append(piece)
            }
            start += extent
        }
        return pieces.count == 1 ? pieces[0] : add(op, pieces)
    }

    private mutating func gathered(_ operands: [ValueID], _ box: [Range<Int>]) -> ValueID? {
        let numbers = extents(operands[1]).count
        let rows = extents(operands[0])[0]
        guard let index = cut(operands[1], Array(box[..<numbers])), let x = cut(operands[0], [0..<rows] + box[numbers...])
        else { return nil }
        return add(Gather(), [x, index])
    }

    /// A box of a value whose elements stand in another shape: the consecutive elements that hold it, of a box of the operand that does.
    private mutating func reshaped(_ operand: ValueID, _ shape: [Int], _ box: [Range<Int>]) -> ValueID? {
        var wide = box
        if let first = box.firstIndex(where: { $0.count > 1 }) { for axis in wide.indices.dropFirst(first + 1) { wide[axis] = 0..<shape[axis] } }
        var (start, stride) = (0, 1)
        for axis in shape.indices.reversed() {
            start += wide[axis].lowerBound * stride
            stride *= shape[axis]
        }
        let end = start + wide.map(\.count).reduce(1, *)
        let old = extents(operand)
        var read = old.map { 0..<$0 }
        // Where the elements begin in the row-major order of what is left of the operand.
        var lower = start
        stride = old.reduce(1, *)
        for axis in old.indices {
            stride /= old[axis]
            read[axis] = lower / stride..<(lower + end - start - 1) / stride + 1
            lower -= read[axis].lowerBound * stride
            if read[axis].count > 1 { break }
        }
        let count = read.map(\.count).reduce(1, *)
        guard let value = cut(operand, read), let flat = add(Reshape([.fixed(count)]), [value]),
            let inside = trimmed(flat, [0..<count], to: [lower..<lower + end - start]),
            let made = add(Reshape(Shape(wide.map { .fixed($0.count) })), [inside])
        else { return nil }
        return trimmed(made, wide, to: box)
    }

    /// Whole rows; the first of them starts a block of outputs unless all lie in one.
    private mutating func dequantized(_ op: Dequantize, _ node: Node, _ box: [Range<Int>]) -> ValueID? {
        let (rows, columns) = (box[0], box[1])
        guard columns == 0..<extents(node.result)[1] else { return nil }
        let blocks = rows.lowerBound / op.rows..<(rows.upperBound + op.rows - 1) / op.rows
        let whole = [blocks.count == 1 ? rows : blocks.lowerBound * op.rows..<rows.upperBound, columns]
        guard let codes = cut(node.operands[0], whole) else { return nil }
        var operands = [codes]
        for operand in node.operands.dropFirst().prefix(op.hasZeros ? 2 : 1) {
            guard let value = cut(operand, [blocks, 0..<extents(operand)[1]]) else { return nil }
            operands.append(value)
        }
        if op.hasOrder {
            guard let order = node.operands.last, let value = self.whole(order) else { return nil }
            operands.append(value)
        }
        return add(op, operands).flatMap { trimmed($0, whole, to: box) }
    }
}
