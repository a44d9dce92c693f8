import CKernels
import Glibc

func exp64(_ x: Double) -> Double { exp(x) }

/// The activations in f64.
func reference(_ activation: vlm_activation, _ x: Double) -> Double {
    switch activation {
    case VLM_ACTIVATION_SILU: x / (1 + exp(-x))
    case VLM_ACTIVATION_QUICK_GELU: x / (1 + exp(-1.702 * x))
    case VLM_ACTIVATION_GELU_ERF: x / 2 * (1 + erf(x / 2.0.squareRoot()))
    case VLM_ACTIVATION_GELU_TANH: x / 2 * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
    case VLM_ACTIVATION_RELU: max(x, 0)
    default: x
    }
}

func cos64(_ x: Double) -> Double { cos(x) }
func sin64(_ x: Double) -> Double { sin(x) }

/// Distance of a f32 result from the exact value, in units of the last place of the exact value.
func ulps(_ value: Float, _ exact: Double) -> Double {
    if Double(value) == exact { return 0 }
    return abs(Double(value) - exact) / Double(Float(exact).magnitude.ulp)
}

/// The number of an FP8 code.
func e4m3(_ code: UInt8) -> Double {
    let (exponent, mantissa) = (Int(code >> 3) & 15, Double(code & 7))
    if code & 127 == 127 { return .nan }
    let size = exponent == 0 ? mantissa * 0x1p-9 : (1 + mantissa / 8) * Double(sign: .plus, exponent: exponent - 7, significand: 1)
    return code & 128 == 0 ? size : -size
}

/// The number of an FP4 code, 0 … 15.
func e2m1(_ code: UInt8) -> Double {
    let size = [0, 0.5, 1, 1.5, 2, 3, 4, 6][Int(code & 7)]
    return code & 8 == 0 ? size : -size
}

/// A power of two, bias 127; all ones is NaN.
func e8m0(_ code: UInt8) -> Double { code == 255 ? .nan : Double(sign: .plus, exponent: Int(code) - 127, significand: 1) }
