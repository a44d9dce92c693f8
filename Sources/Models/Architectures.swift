/// The model families that can be compiled: one line each.
package enum Architectures {
    package static let all: [any ModelDefinition.Type] = [
        Llava.self,
        InternVL.self,
        MiniCPMV.self,
        MiniCPMV46.self,
        Phi3V.self,
        QwenVL.self,
        Qwen2VL.self,
        Qwen25VL.self,
        Qwen3VL.self,
        Qwen35.self,
        Gemma3.self,
        PaliGemma.self,
        Idefics3.self,
        Pixtral.self,
        PaddleOCRVL.self,
        LightOnOCR.self,
        GLMOCR.self,
        Gemma4.self,
        LFM2VL.self,
        TextDecoder.self,
    ]
}
