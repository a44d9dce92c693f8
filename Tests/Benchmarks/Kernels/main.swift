// kernel-bench [threads] [linear|thin|attention|blas …]: rates of the kernels on Qwen2-VL-2B's shapes as shares of the ceilings
// that are measured beside each of them. Without names, everything is run.
import CKernels

let arguments = CommandLine.arguments.dropFirst()
let threads = arguments.compactMap { Int($0) }.first ?? 2
let wanted = Set(arguments.filter { Int($0) == nil })
let bench = KernelBench(threads: threads)
print("features \(bench.isa), \(threads) threads; share = rate / ceiling measured before and after it, median of \(KernelBench.rounds)")
if wanted.isEmpty || wanted.contains("linear") { bench.tall() }
if wanted.isEmpty || wanted.contains("thin") { bench.thin() }
if wanted.isEmpty || wanted.contains("attention") { bench.attention() }
if wanted.isEmpty || wanted.contains("blas") { bench.blas() }
