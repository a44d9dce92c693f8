import CKernels
import Glibc
import Seeded

/// A buffer whose end touches an unreadable page (and whose start follows one), so that a read or write outside it crashes the test.
final class Guarded<Element: BitwiseCopyable> {
    let pointer: UnsafeMutablePointer<Element>
    let count: Int
    private let base: UnsafeMutableRawPointer
    private let length: Int

    /// `aligned` buffers start at a multiple of 64 bytes; then up to 63 bytes lie between the end and the unreadable page.
    init(_ count: Int, aligned: Bool = false, _ value: (Int) -> Element) {
        let page = 4096, bytes = count * MemoryLayout<Element>.stride, data = (bytes + page - 1) / page * page
        length = data + 2 * page
        base = mmap(nil, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)!
        mprotect(base, page, PROT_NONE)
        mprotect(base + page + data, page, PROT_NONE)
        let offset = aligned ? (data - bytes) / 64 * 64 : data - bytes
        pointer = (base + page + offset).bindMemory(to: Element.self, capacity: max(count, 1))
        self.count = count
        for i in 0..<count { (pointer + i).initialize(to: value(i)) }
    }

    convenience init(_ values: [Element], aligned: Bool = false) { self.init(values.count, aligned: aligned) { values[$0] } }

    deinit { munmap(base, length) }

    subscript(i: Int) -> Element {
        get { pointer[i] }
        set { pointer[i] = newValue }
    }

    var values: [Element] { Array(UnsafeBufferPointer(start: pointer, count: count)) }
}

/// Aligned scratch of a given number of bytes.
func scratch(_ bytes: Int) -> Guarded<UInt8> { Guarded(bytes, aligned: true) { _ in 0xa5 } }

extension Dice {
    mutating func floats(_ count: Int, in range: ClosedRange<Float> = -1...1) -> [Float] {
        (0..<count).map { _ in Float.random(in: range, using: &self) }
    }
}

/// Feature sets of this machine from generic upwards.
let featureSets: [vlm_isa] = [
    VLM_ISA_GENERIC, VLM_ISA_AVX2, VLM_ISA_AVX2 | VLM_ISA_AVX_VNNI, VLM_ISA_AVX2 | VLM_ISA_AVX512, VLM_ISA_AVX2 | VLM_ISA_AVX512 | VLM_ISA_AVX512_VNNI,
    VLM_ISA_AVX2 | VLM_ISA_AVX512 | VLM_ISA_AVX512_VNNI | VLM_ISA_AVX512_BF16,
    VLM_ISA_AVX2 | VLM_ISA_AVX512 | VLM_ISA_AVX512_VNNI | VLM_ISA_AVX512_BF16 | VLM_ISA_AMX, VLM_ISA_NEON, VLM_ISA_NEON | VLM_ISA_NEON_DOT,
].filter { vlm_cpu_features() & $0 == $0 }

/// The greatest difference relative to the root mean square of `expected`.
func relativeError(_ values: [Float], _ expected: [Double]) -> Double {
    precondition(values.count == expected.count)
    var most = 0.0, squares = 0.0
    for (a, b) in zip(values, expected) {
        let difference = abs(Double(a) - b)
        if !(difference <= most) { most = difference }
        squares += b * b
    }
    return most / (squares / Double(max(expected.count, 1))).squareRoot().addingProduct(1, 1e-12)
}

func bf16(_ x: Float) -> Float { Float(bitPattern: (x.bitPattern &+ 0x7fff &+ (x.bitPattern >> 16 & 1)) & 0xffff_0000) }
