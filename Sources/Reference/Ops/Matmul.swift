internal import COpenBLAS
package import IR
internal import Tensors

/// Dense f32 matrix products.
package enum Gemm {
    /// From this many multiplications on, BLAS does the work.
    private static let blasThreshold = 1 << 14

    /// `c = a · b` or `a · bᵀ` for row-major `a[m, k]` and `b[k, n]` or `b[n, k]`; needs the extents below 2³¹.
    package static func multiply(
        _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ c: UnsafeMutablePointer<Float>, m: Int, n: Int, k: Int, transposeB: Bool
    ) {
        if m > 0, n > 0, k > 0, Double(m) * Double(n) * Double(k) >= Double(blasThreshold) {
            var product = vlm_openblas_product(
                m: Int32(m), n: Int32(n), k: Int32(k), a: a, a_stride: Int32(k), b: b, b_stride: Int32(transposeB ? k : n),
                transposes_b: transposeB, beta: 0, c: c, c_stride: Int32(n))
            if vlm_openblas_multiply(&product) { return }
        }
        for i in 0..<m {
            for j in 0..<n {
                var sum = 0.0
                for l in 0..<k { sum += Double(a[i * k + l]) * Double(transposeB ? b[j * k + l] : b[l * n + j]) }
                c[i * n + j] = Float(sum)
            }
        }
    }

    /// The rows of `x` times `wᵀ`, for `w` `[out, in]`.
    static func linear(_ x: [Float], _ w: [Float], inputs: Int, outputs: Int) throws(EvaluationError) -> [Float] {
        guard inputs > 0 else { return [] }
        let rows = x.count / inputs
        try checkExtents(rows, outputs, inputs)
        var y = Array(repeating: Float(0), count: rows * outputs)
        x.withUnsafeBufferPointer { x in
            w.withUnsafeBufferPointer { w in
                y.withUnsafeMutableBufferPointer { y in
                    guard let x = x.baseAddress, let w = w.baseAddress, let y = y.baseAddress else { return }
                    multiply(x, w, y, m: rows, n: outputs, k: inputs, transposeB: true)
                }
            }
        }
        return y
    }

    static func checkExtents(_ extents: Int...) throws(EvaluationError) {
        guard extents.allSatisfy({ $0 <= Int(Int32.max) }) else { throw EvaluationError("extents \(extents) are above 2³¹ − 1") }
    }
}

extension Matmul: Evaluable {
    package func evaluate(_ call: Call) throws(EvaluationError) -> [Tensor] {
        let (a, b) = (call[0], call[1])
        let (m, n, k) = (call.shape[call.shape.count - 2], call.shape[call.shape.count - 1], a.shape[a.shape.count - 1])
        try Gemm.checkExtents(m, n, k)
        let (left, right) = (a.floats, b.floats)
        var result = Array(repeating: Float(0), count: call.shape.reduce(1, *))
        guard !left.isEmpty, !right.isEmpty, !result.isEmpty else { return call.result(result) }
        let batches = [a, b].map { Array($0.shape.dropLast(2)) }
        var batch = 0
        left.withUnsafeBufferPointer { left in
            right.withUnsafeBufferPointer { right in
                result.withUnsafeMutableBufferPointer { result in
                    guard let left = left.baseAddress, let right = right.baseAddress, let result = result.baseAddress else { return }
                    Broadcast.forEachRow(Array(call.shape.dropLast(2)), batches) { starts, steps, count in
                        for i in 0..<count {
                            Gemm.multiply(
                                left + (starts[0] + i * steps[0]) * m * k, right + (starts[1] + i * steps[1]) * k * n,
                                result + batch * m * n, m: m, n: n, k: k, transposeB: transposeB)
                            batch += 1
                        }
                    }
                }
            }
        }
        return call.result(result)
    }
}
