import CKernels
import Tensors

/// An operand as a plain kernel walks over it: for each axis of the walk an axis of its own, or none where it stretches.
final class StridedOperand {
    private let operand: Operand
    /// The extents as the walk takes them: the operand's own, or those of an equal number of elements without gaps.
    private let dims: [Extent]
    /// For each axis of the walk the operand's; −1 where it stretches.
    private let axes: [Int]
    private let isReshaped: Bool
    /// The first element's place along one axis.
    private let start: (axis: Int, count: Int)
    private let own: UnsafeMutablePointer<Int64>
    let strides: UnsafeMutablePointer<Int64>

    /// - Parameters:
    ///   - axes: for each axis of the walk.
    ///   - dims: nil for the operand's own.
    ///   - start: elements of an axis that are passed over.
    init(_ operand: Operand, axes: [Int], dims: [Extent]? = nil, start: (axis: Int, count: Int) = (0, 0)) {
        self.operand = operand
        self.axes = axes
        self.start = start
        isReshaped = dims != nil
        self.dims = dims ?? operand.dims
        own = .allocate(capacity: max(self.dims.count, 1))
        own.initialize(repeating: 0, count: max(self.dims.count, 1))
        strides = .allocate(capacity: Int(VLM_AXES))
        strides.initialize(repeating: 0, count: Int(VLM_AXES))
    }

    deinit {
        own.deallocate()
        strides.deallocate()
    }

    var element: vlm_element { operand.element.kernelElement }

    /// Elements from one index of an operand's axis to the next, for the batch bound last.
    func stride(ofAxis axis: Int) -> Int64 { own[axis] }

    /// The extent of an axis of the operand for the batch at hand.
    func extent(ofAxis axis: Int, _ context: RunContext) -> Int64 { Int64(dims[axis].value(context)) }

    /// Fills the strides; returns the tensor from its first element on, `offset` elements along an axis further.
    func bind(_ context: RunContext, offset: (axis: Int, count: Int64) = (0, 0)) -> vlm_strided {
        var step: Int64 = 1
        for axis in dims.indices.reversed() {
            own[axis] = step
            step *= Int64(dims[axis].value(context))
        }
        // Rows of one length lie as far apart as the plan says.
        let isFixed = !isReshaped && operand.dims.dropFirst().allSatisfy { $0.symbol < 0 }
        if isFixed, !dims.isEmpty { own[0] = Int64(operand.stride) }
        for axis in axes.indices { strides[axis] = axes[axis] < 0 ? 0 : own[axes[axis]] }
        var place: Int64 = 0
        if !dims.isEmpty { place = Int64(start.count) * own[start.axis] + offset.count * own[offset.axis] }
        let base = operand.address(context).map { $0 + Int(place) * operand.element.byteCount }
        return vlm_strided(base: base, element: element, stride: UnsafePointer(strides))
    }
}

extension DType {
    /// What plain kernels call it; f64 and i64, which they do not read, are taken for what the plan's check lets through.
    fileprivate var kernelElement: vlm_element {
        switch self {
        case .f32, .f64: VLM_ELEMENT_F32
        case .bf16: VLM_ELEMENT_BF16
        case .f16: VLM_ELEMENT_F16
        case .i32, .i64: VLM_ELEMENT_I32
        case .i16: VLM_ELEMENT_I16
        case .i8: VLM_ELEMENT_I8
        case .u8: VLM_ELEMENT_U8
        case .bool: VLM_ELEMENT_BOOL
        }
    }
}

/// The extents of a walk, with axes joined where every tensor allows it.
final class WalkExtents {
    private let dims: [Extent]
    let extents: UnsafeMutablePointer<Int64>
    private(set) var count = 0

    init(_ dims: [Extent]) {
        self.dims = dims
        extents = .allocate(capacity: Int(VLM_AXES))
        extents.initialize(repeating: 1, count: Int(VLM_AXES))
    }

    deinit { extents.deallocate() }

    func bind(_ context: RunContext) {
        count = dims.count
        for axis in dims.indices { extents[axis] = Int64(dims[axis].value(context)) }
    }

    /// Joins neighbouring axes over which all tensors go in even steps, so that lines are long.
    func join(_ tensors: StridedOperand?...) {
        var axis = count - 1
        while axis > 0 {
            let joins = extents[axis - 1] == 1 || tensors.allSatisfy { tensor in
                guard let tensor else { return true }
                return tensor.strides[axis - 1] == tensor.strides[axis] * extents[axis]
            }
            if joins {
                extents[axis - 1] *= extents[axis]
                for case let tensor? in tensors { tensor.strides[axis - 1] = tensor.strides[axis] }
                remove(axis, tensors)
            }
            axis -= 1
        }
    }

    private func remove(_ axis: Int, _ tensors: [StridedOperand?]) {
        for next in axis..<count - 1 {
            extents[next] = extents[next + 1]
            for case let tensor? in tensors { tensor.strides[next] = tensor.strides[next + 1] }
        }
        count -= 1
    }
}
