/// The fields of a protobuf message, in the order of its bytes.
struct MessageReader {
    enum Value {
        case number(UInt64)
        case word(UInt32)
        case bytes(ArraySlice<UInt8>)
        /// Eight bytes, which no field that is read has.
        case long
    }

    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) {
        rest = bytes
    }

    /// The next field's number and value; nil at the end. Throws for bytes that are no message.
    mutating func next() throws(TokenizerError) -> (field: Int, value: Value)? {
        if rest.isEmpty { return nil }
        let key = try number()
        guard key >> 3 > 0, key >> 3 < 1 << 29 else { throw damaged }
        let value: Value
        switch key & 7 {
        case 0: value = .number(try number())
        case 1:
            _ = try take(8)
            value = .long
        case 2: value = .bytes(try take(try number()))
        case 5: value = .word(try take(4).reversed().reduce(0) { $0 << 8 | UInt32($1) })
        default: throw damaged
        }
        return (Int(key >> 3), value)
    }

    private var damaged: TokenizerError { .malformed("byte \(rest.startIndex) of tokenizer.model", "it is no protobuf message") }

    private mutating func number() throws(TokenizerError) -> UInt64 {
        var number: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 64, by: 7) {
            guard let byte = rest.popFirst() else { throw damaged }
            number |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return number }
        }
        throw damaged
    }

    private mutating func take(_ count: UInt64) throws(TokenizerError) -> ArraySlice<UInt8> {
        guard count <= rest.count else { throw damaged }
        defer { rest = rest.dropFirst(Int(count)) }
        return rest.prefix(Int(count))
    }
}
