internal import CPCRE2

/// A pattern of `tokenizer.json`, written for Oniguruma with its Ruby syntax and Unicode 16 (as HuggingFace's tokenizers uses it),
/// run by PCRE2.
final class RegularExpression: @unchecked Sendable {
    struct CompileError: Error, Equatable {
        var message: String
    }

    /// Immutable after `init`; PCRE2 allows one compiled pattern to be matched by several threads at once.
    private let code: OpaquePointer

    init(_ pattern: String) throws(CompileError) {
        var errorNumber: Int32 = 0
        var errorOffset = 0
        let options = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C
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
    }

    deinit {
        pcre2_code_free_8(code)
    }

    /// All matches in `text.bytes[range]`, with nothing seen outside of the range.
    ///
    /// An empty match right after the previous match is passed over, as in Rust's `onig::FindMatches`. When PCRE2 gives up (its
    /// match limit guards against exponential patterns) the rest of the range counts as unmatched.
    func matches(in text: MatchableText, _ range: Range<Int>) -> [Range<Int>] {
        var found: [Range<Int>] = []
        guard let block = pcre2_match_data_create_8(1, nil) else { return found }
        defer { pcre2_match_data_free_8(block) }
        text.masked.withUnsafeBufferPointer { units in
            let subject = UnsafeBufferPointer(rebasing: units[range])
            var start = 0
            var previousEnd = -1
            while start <= subject.count, let match = match(subject, from: start, block) {
                if match.isEmpty, match.lowerBound == previousEnd {
                    start += 1
                    while start < subject.count, subject[start] & 0xC0 == 0x80 { start += 1 }
                    continue
                }
                found.append(match.lowerBound + range.lowerBound..<match.upperBound + range.lowerBound)
                start = match.upperBound
                previousEnd = match.upperBound
            }
        }
        return found
    }

    private func match(
        _ subject: UnsafeBufferPointer<UInt8>, from start: Int, _ block: OpaquePointer
    ) -> Range<Int>? {
        let options = UInt32(PCRE2_NO_UTF_CHECK)
        var result = pcre2_match_8(code, subject.baseAddress, subject.count, start, options, block, nil)
        if result == PCRE2_ERROR_JIT_STACKLIMIT {
            let interpreted = options | UInt32(PCRE2_NO_JIT)
            result = pcre2_match_8(code, subject.baseAddress, subject.count, start, interpreted, block, nil)
        }
        guard result >= 0, let bounds = pcre2_get_ovector_pointer_8(block), bounds[0] <= bounds[1] else { return nil }
        return bounds[0]..<bounds[1]
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
