/// An instruction-set extension that a kernel needs, named as in `/proc/cpuinfo`.
package enum CPUFeature: String, Sendable, Hashable, Codable, CaseIterable, Comparable {
    case avx2, fma, f16c
    case avxvnni = "avx_vnni"
    case avx512f, avx512bw, avx512vl, avx512dq
    case avx512vnni = "avx512_vnni"
    case avx512bf16 = "avx512_bf16"
    /// Tiles, and products of theirs.
    case amxTile = "amx_tile"
    case amxInt8 = "amx_int8"
    case amxBF16 = "amx_bf16"
    /// Vectors of every 64-bit ARM processor.
    case neon = "asimd"
    /// Dot products of bytes there.
    case neonDot = "asimddp"

    package static func < (left: CPUFeature, right: CPUFeature) -> Bool { left.rawValue < right.rawValue }
}

/// What a processor must have to run a kernel: all of one set of features. Sets of the same kernel are of different architectures.
package struct FeatureNeeds: Sendable, Hashable, ExpressibleByArrayLiteral {
    /// The sets, of which one must be there; an empty one asks for nothing.
    package let sets: [Set<CPUFeature>]

    init(anyOf sets: Set<CPUFeature>...) { self.sets = sets }
    package init(arrayLiteral features: CPUFeature...) { sets = [Set(features)] }

    /// Names of what a processor with `features` lacks, the first of each set; nil where it has all of one.
    package func missing(from features: Set<CPUFeature>) -> String? {
        let lacks = sets.map { $0.subtracting(features).sorted().first?.rawValue }
        return lacks.contains(nil) ? nil : lacks.compactMap { $0 }.joined(separator: " or ")
    }
}

/// What an artifact was compiled for: a named set of CPU features; those of one architecture from the least to the richest.
package enum Target: String, Sendable, Hashable, Codable, CaseIterable {
    /// Any x86-64, ARM or other CPU: portable C kernels.
    case cpu
    case cpuAVX2 = "cpu-avx2"
    /// AVX2 with dot products of bytes: client processors without AVX-512.
    case cpuAVXVNNI = "cpu-avx-vnni"
    case cpuAVX512 = "cpu-avx512"
    /// AVX-512 with VNNI.
    case cpuAVX512VNNI = "cpu-avx512-vnni"
    /// AVX-512 with VNNI and BF16.
    case cpuAVX512BF16 = "cpu-avx512-bf16"
    /// AVX-512 with VNNI, BF16 and AMX.
    case cpuAMX = "cpu-amx"
    /// Any 64-bit ARM processor.
    case cpuNEON = "cpu-neon"
    /// 64-bit ARM with dot products of bytes.
    case cpuNEONDot = "cpu-neon-dot"

    /// Features a machine must have to run artifacts of this target.
    package var features: Set<CPUFeature> {
        switch self {
        case .cpu: []
        case .cpuAVX2: [.avx2, .fma, .f16c]
        case .cpuAVXVNNI: Target.cpuAVX2.features.union([.avxvnni])
        case .cpuAVX512: Target.cpuAVX2.features.union([.avx512f, .avx512bw, .avx512vl, .avx512dq])
        case .cpuAVX512VNNI: Target.cpuAVX512.features.union([.avx512vnni])
        case .cpuAVX512BF16: Target.cpuAVX512VNNI.features.union([.avx512bf16])
        case .cpuAMX: Target.cpuAVX512BF16.features.union([.amxTile, .amxInt8, .amxBF16])
        case .cpuNEON: [.neon]
        case .cpuNEONDot: [.neon, .neonDot]
        }
    }

    /// The richest target that a machine with `features` runs.
    package static func best(for features: Set<CPUFeature>) -> Target {
        allCases.last { $0.features.isSubset(of: features) } ?? .cpu
    }
}
