import HuggingFace
import IR
import Tensors

/// The weight of the current linear layer, unpacked from whichever layout the checkpoint has it in.
struct WeightLayout {
    private let tracer: ModelTracer
    private let inputs: Int
    private let outputs: Int
    let isQuantized: Bool

    init(_ tracer: ModelTracer, inputs: Int, outputs: Int) {
        (self.tracer, self.inputs, self.outputs) = (tracer, inputs, outputs)
        isQuantized = ["qweight", "weight_packed", "weight_scale", "weight_scale_inv"].contains(where: tracer.has)
    }

    /// The weight as `[outputs, inputs]`.
    var weight: Value {
        guard isQuantized else { return tracer.parameter("weight", [.fixed(outputs), .fixed(inputs)]) }
        let leaf = ["qweight", "weight_packed", "weight"].first(where: tracer.has) ?? "weight"
        guard leaf == "weight" || !tracer.has("weight") else {
            return tracer.refuse(leaf, "is there beside a weight of the same layer; remove one of them")
        }
        guard let quantization = tracer.quantization else {
            return tracer.refuse(leaf, "is a quantized weight, but config.json has no quantization_config")
        }
        let group = quantization.groupSize ?? inputs
        let isPacked = leaf != "weight"
        guard inputs % group == 0, !isPacked || outputs % 8 == 0 && inputs % 8 == 0 else {
            return tracer.refuse(leaf, "cannot be: \(inputs) inputs in groups of \(group), \(outputs) outputs packed by 8")
        }
        return unpacked(quantization.layout, group)
    }

    /// What the layer's product reads: `x`, each row rounded to int8 where the layout says so.
    func input(_ x: Value) -> Value {
        guard isQuantized, tracer.quantization?.roundsInputs == true else { return x }
        let b = tracer.b
        let largest = b.maximum(b.max(x), b.max(b.neg(x)))
        let scale = b.maximum(b.div(largest, b.literal(127.5)), b.literal(Double(Float.ulpOfOne)))
        // Numbers of this size have no fraction, so that adding it rounds half to even.
        let size = b.literal(Double(3 << 22))
        let rounded = b.sub(b.add(b.div(x, scale), size), size)
        return b.mul(b.minimum(b.maximum(rounded, b.literal(-128)), b.literal(127)), scale)
    }

    private func unpacked(_ layout: QuantizationConfig.Layout, _ group: Int) -> Value {
        switch layout {
        case .awqGEMM: awqGEMM(group)
        case .awqGEMV: awqGEMV(group)
        case .gptq(let bits, let offset): gptq(bits, group, offset)
        case .packedInt4(let isSymmetric): packedInt4(group, isSymmetric)
        case .int8: rowScaled(bytes("weight", .i8, [outputs, inputs]))
        case .float8: rowScaled(float8)
        case .float8Blocks(let rows, let columns): float8Blocks(rows, columns)
        case .mxfp4: fourBitFloats(group, scales: tracer.b.unpack(bytes("weight_scale", .u8, [outputs, inputs / group]), .e8m0))
        case .nvfp4: fourBitFloats(group, scales: nvfp4Scales(group))
        }
    }

    private func awqGEMM(_ group: Int) -> Value {
        tracer.b.dequantizeAWQ(
            words("qweight", [inputs, outputs / 8]), words("qzeros", [inputs / group, outputs / 8]),
            real("scales", [inputs / group, outputs]), group: group)
    }

    /// Rows stay rows; zeros and scales are filled up to a number of words that the group decides.
    private func awqGEMV(_ group: Int) -> Value {
        let b = tracer.b
        let groups = inputs / group
        let multiple = [128: 1, 64: 2, 32: 4][group] ?? 1
        let width = ((groups + 7) / 8 + multiple - 1) / multiple * multiple
        let zeros = b.slice(b.unpack(words("qzeros", [outputs, width]), .u4), axis: 1, 0..<groups)
        let scales = b.slice(real("scales", [outputs, 8 * width]), axis: 1, 0..<groups)
        return b.dequantize(b.unpack(words("qweight", [outputs, inputs / 8]), .u4), scales, zeros: zeros, columns: group)
    }

    private func gptq(_ bits: Int, _ group: Int, _ offset: Int) -> Value {
        let b = tracer.b
        let (element, packed, groups) = (bits == 4 ? CodeElement.u4 : .u8, 32 / bits, inputs / group)
        let codes = b.unpack(words("qweight", [inputs / packed, outputs]), element, axis: 0)
        let zeros = b.unpack(words("qzeros", [groups, outputs / packed]), element, offset: offset)
        return b.dequantize(
            b.transpose(codes, [1, 0]), b.transpose(real("scales", [groups, outputs]), [1, 0]), zeros: b.transpose(zeros, [1, 0]),
            order: tracer.groups("g_idx", inputs: inputs, group: group), columns: group)
    }

    private func packedInt4(_ group: Int, _ isSymmetric: Bool) -> Value {
        let b = tracer.b
        let groups = inputs / group
        let zeros =
            isSymmetric
            ? b.literal(8, TensorType(.i32, [.fixed(outputs), .fixed(groups)]))
            : b.unpack(words("weight_zero_point", [outputs / 8, groups]), .u4, axis: 0)
        return b.dequantize(
            b.unpack(words("weight_packed", [outputs, inputs / 8]), .u4), real("weight_scale", [outputs, groups]), zeros: zeros,
            order: tracer.groups("weight_g_idx", inputs: inputs, group: group), columns: group)
    }

    /// A scale for each row, or one for all.
    private func rowScaled(_ codes: Value) -> Value {
        let declared = tracer.declaredShape("weight_scale")
        let scales =
            declared?.rank == 2
            ? real("weight_scale", [outputs, 1])
            : tracer.b.expand(tracer.stored("weight_scale", declared?.rank == 0 ? [] : [1]), [.fixed(outputs), 1])
        return tracer.b.dequantize(codes, scales, columns: inputs)
    }

    private var float8: Value { tracer.b.unpack(bytes("weight", .u8, [outputs, inputs]), .f8e4m3) }

    /// A scale for each block, under the name of either format; a layer that has one for each row or for all keeps those.
    private func float8Blocks(_ rows: Int, _ columns: Int) -> Value {
        let extents = [(outputs + rows - 1) / rows, (inputs + columns - 1) / columns]
        let leaf = tracer.has("weight_scale_inv") ? "weight_scale_inv" : "weight_scale"
        let declared = tracer.declaredShape(leaf)
        if leaf == "weight_scale", declared?.rank != 2 || (declared == Shape([.fixed(outputs), .fixed(1)]) && extents != [outputs, 1]) {
            return rowScaled(float8)
        }
        return tracer.b.dequantize(float8, real(leaf, extents), rows: rows, columns: columns)
    }

    private func fourBitFloats(_ group: Int, scales: Value) -> Value {
        tracer.b.dequantize(tracer.b.unpack(bytes("weight_packed", .u8, [outputs, inputs / 2]), .e2m1), scales, columns: group)
    }

    private func nvfp4Scales(_ group: Int) -> Value {
        let b = tracer.b
        return b.div(b.unpack(bytes("weight_scale", .u8, [outputs, inputs / group]), .f8e4m3), tracer.parameter("weight_global_scale", [1]))
    }

    private func words(_ leaf: String, _ extents: [Int]) -> Value { bytes(leaf, .i32, extents) }

    private func bytes(_ leaf: String, _ element: DType, _ extents: [Int]) -> Value {
        tracer.stored(leaf, Shape(extents.map(Dim.fixed)), expecting: element.rawValue) { $0 == element }
    }

    private func real(_ leaf: String, _ extents: [Int]) -> Value { tracer.stored(leaf, Shape(extents.map(Dim.fixed))) }
}
