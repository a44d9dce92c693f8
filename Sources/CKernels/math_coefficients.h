// Coefficients of the polynomials shared by scalar and vector transcendentals (weighted minimax fits).
#ifndef VLM_MATH_COEFFICIENTS_H
#define VLM_MATH_COEFFICIENTS_H

// exp(x) = 2ⁿ·exp(r), exp(r) = 1 + r + r²·(C2 + C3 r + …), |r| ≤ ln2/2. Below LOW the result is 0.
#define VLM_EXP_LOW (-87.336544f)
#define VLM_EXP_HIGH 88.7228317f
#define VLM_LOG2E 1.44269504f
#define VLM_LN2_HIGH 0.693359375f
#define VLM_LN2_LOW (-2.12194440e-4f)
#define VLM_EXP_C2 0.499999934f
#define VLM_EXP_C3 0.166665201f
#define VLM_EXP_C4 0.0416683943f
#define VLM_EXP_C5 0.00836878062f
#define VLM_EXP_C6 0.00138144648f

// 2ˣ = 2ⁿ·(1 + r·(C1 + C2 r + …)), |r| ≤ 1/2.
#define VLM_LN2 0.693147181f
#define VLM_EXP2_C1 0.693146978f
#define VLM_EXP2_C2 0.240222421f
#define VLM_EXP2_C3 0.0555073375f
#define VLM_EXP2_C4 0.00967151287f
#define VLM_EXP2_C5 0.00132647239f

// The same for 0 ≤ r < 1 within 3e-6, for what becomes bf16.
#define VLM_EXP2_BF16_C1 0.69304484f
#define VLM_EXP2_BF16_C2 0.24128021f
#define VLM_EXP2_BF16_C3 0.052242447f
#define VLM_EXP2_BF16_C4 0.013426701f

// The same within 1.1e-4, for what becomes codes.
#define VLM_EXP2_CODE_C1 0.69328293f
#define VLM_EXP2_CODE_C2 0.24221101f
#define VLM_EXP2_CODE_C3 0.05500895f

// tanh(x) = x + x³·(C0 + C1 x² + …) below SPLIT, 1 − 2/(exp(2x) + 1) above.
#define VLM_TANH_SPLIT 0.625f
#define VLM_TANH_C0 (-0.333332839f)
#define VLM_TANH_C1 0.133314913f
#define VLM_TANH_C2 (-0.0537434954f)
#define VLM_TANH_C3 0.0206505794f
#define VLM_TANH_C4 (-0.00571703692f)

// erf(x) = x + x·(C0 + C1 x² + …) below SPLIT, 1 − exp(polynomial in x) above; 1 from ONE on.
#define VLM_ERF_SPLIT 1.0f
#define VLM_ERF_ONE 4.0f
#define VLM_ERF_C0 0.128379129f
#define VLM_ERF_C1 (-0.376123556f)
#define VLM_ERF_C2 0.112804113f
#define VLM_ERF_C3 (-0.0267177002f)
#define VLM_ERF_C4 0.00492478219f
#define VLM_ERF_C5 (-0.000566012835f)
#define VLM_ERFC_C0 (-0.000195666023f)
#define VLM_ERFC_C1 (-1.12767567f)
#define VLM_ERFC_C2 (-0.637182171f)
#define VLM_ERFC_C3 (-0.103931668f)
#define VLM_ERFC_C4 0.0222269572f
#define VLM_ERFC_C5 (-0.00304322729f)
#define VLM_ERFC_C6 0.000195938319f

#define VLM_SQRT_HALF 0.707106781f
#define VLM_SQRT_2_OVER_PI 0.797884561f

// cos and sin of f64 r, |r| ≤ π/4, to f32 precision; r = x − n·π/2 in three parts.
#define VLM_TWO_OVER_PI 0.63661977236758134308
#define VLM_PIO2_HIGH 0x1.921fb544p+0
#define VLM_PIO2_LOW 0x1.0b4611a626331p-34

#endif
