/// A variable of the environment that guides for vLLM and its Ascend plugin set, and what it means to `vlm-serve`.
package struct ForeignVariable: Sendable {
    package enum Meaning: Sendable {
        /// The value of a flag of ours that the command line does not give: its words, none for as if it were not set.
        case flag(String, @Sendable (String) throws(FlagError) -> [String])
        /// The server reads it itself, for this.
        case read(String)
        /// Nothing, for this reason: accepted, and said so.
        case nothing(String)
    }

    package let name: String
    package let meaning: Meaning

    /// A flag without which it means nothing.
    private let needed: String?

    /// What is checked of a value that has no effect.
    fileprivate enum Form {
        case number, numbers, isOn
    }
    private let form: Form?

    private init(_ name: String, _ meaning: Meaning, with needed: String? = nil, form: Form? = nil) {
        (self.name, self.meaning, self.needed, self.form) = (name, meaning, needed, form)
    }

    private static let attention = "attention's scores, softmax and sums are f32 always, and its products where the artifact is of --precision exact"
    private static let gears = "decode gears are decided when compiling: vlmc compile --decode-gears 1,2,4"

    package static let all = [
        ForeignVariable("VLLM_IMAGE_FETCH_TIMEOUT", number("--image-fetch-timeout"), with: "--allowed-media-domains"),
        ForeignVariable("VLLM_MEDIA_URL_ALLOW_REDIRECTS", .flag("--media-redirects") { value throws(FlagError) in
            guard let number = Int(value) else { throw FlagError("is neither 0 nor 1") }
            return [number == 0 ? "--no-media-redirects" : "--media-redirects"]
        }, with: "--allowed-media-domains"),
        ForeignVariable("VLLM_MAX_IMAGE_PIXELS", number("--max-image-pixels")),
        ForeignVariable("OMP_NUM_THREADS", .flag("--threads") { value throws(FlagError) in
            // Behind a comma are the threads of regions within regions.
            guard let first = value.split(separator: ",").first, let count = Int(first), count > 0 else { throw FlagError("is no number of threads") }
            return ["--threads", "\(count)"]
        }),
        ForeignVariable("VLLM_API_KEY", .read("a key like those of --api-key")),
        ForeignVariable("VLLM_ENGINE_ITERATION_TIMEOUT_S", .nothing("no step is given up for the time that it takes; --request-deadline bounds what comes before"), form: .number),
        ForeignVariable("PTA_TORCHAIR_DECODE_GEAR_ENABLE", .nothing(gears), form: .isOn),
        ForeignVariable("PTA_TORCHAIR_DECODE_GEAR_LIST", .nothing(gears), form: .numbers),
        ForeignVariable("USE_PFA_HIGH_PRECISION_MODE", .nothing(attention), form: .isOn),
        ForeignVariable("USE_IFA_HIGH_PRECISION_MODE", .nothing(attention), form: .isOn),
        ForeignVariable("ASCEND_RT_VISIBLE_DEVICES", .nothing("artifacts run on the CPU; --threads says on how much of it"), form: .numbers),
    ]

    private static func number(_ flag: String) -> Meaning {
        .flag(flag) { value throws(FlagError) in
            guard Double(value) != nil else { throw FlagError("is no number") }
            return [flag, value]
        }
    }

    /// Every variable and what it means, a line each, for `--help`.
    package static var translations: [String] {
        all.map { variable in
            switch variable.meaning {
            case .flag(let flag, _): "\(variable.name): \(flag)"
            case .read(let use): "\(variable.name): \(use)"
            case .nothing(let reason): "\(variable.name): no effect, \(reason)"
            }
        }
    }

    /// The words of ours for a value, and what to say of it; nothing for one that is empty, or whose flag is `given`.
    func outcome(_ value: String, given: Set<String>) throws(FlagError) -> (words: [String], note: String?) {
        let value = value.drop { $0.isWhitespace }.prefix { !$0.isWhitespace }
        guard !value.isEmpty else { return ([], nil) }
        switch meaning {
        case .flag(let flag, let words):
            guard !given.contains(flag) else { return ([], nil) }
            do throws(FlagError) {
                let words = try words(String(value))
                if let needed, !given.contains(needed) { return ([], "\(name) has no effect without \(needed)") }
                return (words, "\(name)=\(value) is taken as \(words.joined(separator: " "))")
            } catch {
                throw FlagError("\(name)=\(value) \(error)")
            }
        case .read: return ([], nil)
        case .nothing(let reason):
            if let fault = form?.fault(String(value)) { throw FlagError("\(name)=\(value) \(fault)") }
            return ([], "\(name) has no effect: \(reason)")
        }
    }
}

extension ForeignVariable.Form {
    /// What is wrong with a value; nil for nothing.
    fileprivate func fault(_ value: String) -> String? {
        switch self {
        case .number: Double(value) == nil ? "is no number" : nil
        case .numbers: value.split(separator: ",", omittingEmptySubsequences: false).contains { Int($0) == nil } ? "is no list of whole numbers" : nil
        case .isOn: ["0", "1", "true", "false"].contains(value.lowercased()) ? nil : "is neither 0 nor 1"
        }
    }
}
