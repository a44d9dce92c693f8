internal import Budgets
internal import Inputs
internal import JSON
internal import Serving

/// Texts without a template, or their tokens: what a field holds as a string, a list of strings, a list of token ids or a list of those.
struct PromptSources: Sendable {
    enum Source: Sendable {
        case text(String)
        case tokens([Int32])
    }
    let sources: [Source]
    /// The field.
    let name: String

    /// - Parameter most: how many there may be.
    init(_ name: String, _ fields: FieldReader, vocabularySize: Int, most: Int) throws(APIError) {
        self.name = name
        let tokens = SamplingFields(fields: fields, vocabularySize: vocabularySize)
        guard let value = fields.value(name) else { throw .invalid("\(name) is required", param: name) }
        if let text = value.stringValue {
            sources = [.text(text)]
            return
        }
        guard let list = value.arrayValue else {
            throw fields.mismatch(name, value, "a string, a list of strings, a list of token ids or a list of those")
        }
        guard let first = list.first else { throw .invalid("\(name) must not be empty", param: name) }
        if first.intValue != nil {
            sources = try [.tokens(tokens.tokens(name) ?? [])]
            return
        }
        guard list.count <= most else { throw .invalid("\(name) holds \(list.count) prompts, more than \(most)", param: name) }
        var sources: [Source] = []
        for (index, element) in list.enumerated() {
            let place = "\(name)[\(index)]"
            if let text = element.stringValue {
                sources.append(.text(text))
            } else if element.arrayValue != nil {
                sources.append(.tokens(try tokens.tokens(place, of: element, param: name)))
            } else {
                throw fields.mismatch(place, element, "a string or a list of token ids", param: name)
            }
        }
        self.sources = sources
    }

    /// An error of one of them, which says which where there are several.
    func placed(_ error: APIError, _ index: Int) -> APIError { sources.count > 1 ? error.ofPrompt(index, in: name) : error }

    /// The prompt of one of them.
    ///
    /// - Parameter most: how many of its last tokens are kept; nil for all.
    func prompt(
        _ index: Int, addsSpecialTokens: Bool, keeping most: Int?, _ pipeline: InputPipeline, _ budget: WorkBudget
    ) throws(APIError) -> Prompt {
        do throws(InputError) {
            var ids =
                switch sources[index] {
                case .tokens(let ids): ids
                case .text(let text):
                    try pipeline.tokens(of: text, addsSpecialTokens: addsSpecialTokens, mayBeCut: most != nil, budget: budget)
                }
            if let most { ids = ids.suffix(most) }
            return pipeline.prompt(tokens: ids)
        } catch {
            throw placed(APIError(error, place: name), index)
        }
    }
}
