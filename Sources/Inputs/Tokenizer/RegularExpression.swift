internal import CPCRE2

/// A pattern of `tokenizer.json`, written for Oniguruma with its Ruby syntax and Unicode 16 (as HuggingFace's tokenizers uses it),
/// run by PCRE2 with a callout before each item; see `PatternRun`.
final class RegularExpression: @unchecked Sendable {
    struct CompileError: Error, Equatable {
        var message: String
    }

    /// Immutable after `init`; PCRE2 allows one compiled pattern to be matched by several threads at once.
    private let code: OpaquePointer
    private let pattern: String

    /// Bytes of a pattern; those of ordinary tokenizers have a few hundred.
    private static let lengthMax = 64 << 10

    init(_ pattern: String) throws(CompileError) {
        var errorNumber: Int32 = 0
        var errorOffset = 0
        guard pattern.utf8.count <= Self.lengthMax else {
            throw CompileError(message: "the regular expression has more than \(Self.lengthMax) bytes")
        }
        let options = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C | PCRE2_AUTO_CALLOUT
        let units = Array(try OnigurumaSyntax.translated(pattern).utf8)
        guard let context = pcre2_compile_context_create_8(nil) else {
            throw CompileError(message: "no memory for the regular expression")
        }
        defer { pcre2_compile_context_free_8(context) }
        pcre2_set_newline_8(context, UInt32(PCRE2_NEWLINE_LF))
        pcre2_set_parens_nest_limit_8(context, 100)
        guard
            let code = pcre2_compile_8(units, units.count, UInt32(options), &errorNumber, &errorOffset, context)
        else {
            var text = [UInt8](repeating: 0, count: 256)
            pcre2_get_error_message_8(errorNumber, &text, text.count)
            let message = String(decoding: text.prefix { $0 != 0 }, as: UTF8.self)
            throw CompileError(message: "the regular expression is rejected at byte \(errorOffset): \(message)")
        }
        pcre2_jit_compile_8(code, UInt32(PCRE2_JIT_COMPLETE))
        self.code = code
        self.pattern = pattern
    }

    deinit {
        pcre2_code_free_8(code)
    }

    /// All matches in `text.bytes[range]`, with nothing seen outside of the range.
    ///
    /// An empty match right after the previous match is passed over, as in Rust's `onig::FindMatches`. Throws when the pattern
    /// takes more steps or memory than `work` has left.
    func matches(
        in text: MatchableText, _ range: Range<Int>, _ work: TokenizationWork
    ) throws(TokenizationError) -> [Range<Int>] {
        let run = work.patternRun
        run.begin(bytes: range.count)
        return try text.masked.withUnsafeBufferPointer { (units) throws(TokenizationError) in
            let subject = UnsafeBufferPointer(rebasing: units[range])
            var found: [Range<Int>] = []
            var start = 0
            var previousEnd = -1
            while start <= subject.count {
                switch run.firstMatch(of: code, in: subject, from: start) {
                case .match(let match) where match.isEmpty && match.lowerBound == previousEnd:
                    start += 1
                    while start < subject.count, subject[start] & 0xC0 == 0x80 { start += 1 }
                case .match(let match):
                    found.append(match.lowerBound + range.lowerBound..<match.upperBound + range.lowerBound)
                    start = match.upperBound
                    previousEnd = match.upperBound
                case .none: return found
                case .gaveUp: throw .patternGaveUp(place: work.place, pattern: pattern)
                case .stopped(let error): throw .work(error)
                }
            }
            return found
        }
    }

    /// The Unicode version of the PCRE2 library in use.
    static let libraryUnicodeVersion: UnicodeVersion = {
        var text = [UInt8](repeating: 0, count: 64)
        let needed = pcre2_config_8(UInt32(PCRE2_CONFIG_UNICODE_VERSION), nil)
        guard needed > 0, needed <= text.count else { return UnicodeVersion(major: 0, minor: 0) }
        pcre2_config_8(UInt32(PCRE2_CONFIG_UNICODE_VERSION), &text)
        let parts = text.prefix { $0 != 0 }.split(separator: UInt8(ascii: ".")).map { Int(String(decoding: $0, as: UTF8.self)) ?? 0 }
        return UnicodeVersion(major: parts.first ?? 0, minor: parts.count > 1 ? parts[1] : 0)
    }()
}
