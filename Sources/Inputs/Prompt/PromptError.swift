/// Why a prompt cannot be prepared.
package enum PromptError: Error, Hashable, CustomStringConvertible {
    /// The rendered prompt holds another number of placeholders than there are images.
    case placeholderCount(placeholder: String, found: Int, images: Int)
    /// The model reads text only.
    case noVision(images: Int)
    /// The model takes no videos.
    case noVideos
    /// The tokenizer does not turn the placeholder into its token, so that an image's tokens are not where they belong.
    case placeholderToken(placeholder: String, token: Int32)
    /// The tokenizer gives an id beyond the model's vocabulary.
    case tokenBeyondVocabulary(token: Int32, size: Int)
    /// The prompt has no tokens.
    case empty
    /// More tokens than positions can count.
    case tooLong(tokens: Int)
    /// Nothing closes what opens an image's place.
    case unclosed(marker: String, closing: String)
    /// An image's place has more bytes than the image has tokens.
    case placeTooLong(bytes: Int, limit: Int)
    /// An image does not lie whole in the part of the prompt that is left.
    case imageCut(tokens: Int, left: Int)
    /// The tokenizer failed.
    case tokenizer(String)

    package var description: String {
        switch self {
        case .placeholderCount(let placeholder, let found, let images):
            "the rendered prompt holds \(placeholder) \(found) times, but there are \(images) images; "
                + "remove the placeholder from the text, or use the model's own chat template"
        case .noVision(let images):
            "the model reads text only, but there are \(images) images"
        case .noVideos: "the model takes no videos"
        case .placeholderToken(let placeholder, let token):
            "the tokenizer does not turn \(placeholder) into token \(token); "
                + "tokenizer.json and config.json do not belong together"
        case .tokenBeyondVocabulary(let token, let size):
            "the tokenizer gives token \(token), but the model has \(size); "
                + "tokenizer.json and config.json do not belong together"
        case .empty:
            "the prompt has no tokens"
        case .tooLong(let tokens):
            "the prompt has \(tokens) tokens, more than positions can count"
        case .unclosed(let marker, let closing):
            "the rendered prompt holds \(marker) without \(closing) behind it"
        case .placeTooLong(let bytes, let limit):
            "the path of an image has \(bytes) bytes, more than the \(limit) that the model has tokens for; use a shorter one"
        case .imageCut(let tokens, let left):
            "truncate_prompt_tokens leaves \(left) of the prompt's \(tokens) tokens, which would cut an image"
        case .tokenizer(let message):
            message
        }
    }
}
