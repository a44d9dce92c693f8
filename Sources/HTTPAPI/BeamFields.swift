internal import JSON
internal import Serving

/// Reads the fields of a beam search.
struct BeamFields {
    let fields: FieldReader

    /// What is searched for; nil where nothing is. The sampling becomes what a search takes: a request that leaves it out gets no draw, whatever
    /// the model's own defaults say.
    ///
    /// - Parameter width: answers that are made of each prompt.
    func read(width: Int, _ sampling: inout SamplingParameters) throws(APIError) -> BeamParameters? {
        let isAsked = try fields.boolean("use_beam_search") ?? false
        let penalty = try fields.number("length_penalty", "a finite number") { $0.isFinite }
        let stopping = try earlyStopping()
        guard isAsked else {
            if let penalty, penalty != 1 { throw without("length_penalty", "1") }
            if let stopping, stopping != .unlessBetter { throw without("early_stopping", "false") }
            return nil
        }
        guard width > 1 else {
            throw .invalid("best_of, or n, must be at least 2 when use_beam_search is true: it is the number of beams", param: "best_of")
        }
        try check("temperature", sampling.temperature < 1e-5, "0")
        try check("top_p", sampling.topP == 1, "1")
        try check("top_k", sampling.topK == 0, "-1")
        try check("min_p", sampling.minP == 0, "0")
        (sampling.temperature, sampling.topP, sampling.topK, sampling.minP) = (0, 1, 0, 0)
        var beams = BeamParameters(width: width)
        if let penalty { beams.lengthPenalty = penalty }
        if let stopping { beams.earlyStopping = stopping }
        return beams
    }

    private func earlyStopping() throws(APIError) -> BeamParameters.EarlyStopping? {
        switch fields.value("early_stopping") {
        case nil: return nil
        case .bool(true)?: return .atOnce
        case .bool(false)?: return .unlessBetter
        case .string("never")?: return .never
        case let other?:
            throw .invalid("early_stopping must be true, false or \"never\", not \(quoted: other.serializedText, upTo: 100)", param: "early_stopping")
        }
    }

    private func check(_ name: String, _ holds: Bool, _ value: String) throws(APIError) {
        if fields.value(name) != nil, !holds { throw .invalid("\(name) must be \(value) when use_beam_search is true", param: name) }
    }

    private func without(_ name: String, _ value: String) -> APIError {
        .invalid("\(name) must be \(value) when use_beam_search is not true", param: name)
    }
}
