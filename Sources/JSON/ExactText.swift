internal import Glibc

/// A string that equals another only when every UTF-8 byte is the same.
///
/// Swift's `String` compares by canonical equivalence, so "é" in one scalar equals "e" with an accent; vocabularies, JSON keys
/// and template values must tell them apart.
package struct ExactText: Hashable, Sendable {
    package var text: String

    package init(_ text: String) {
        self.text = text
    }

    package static func == (left: ExactText, right: ExactText) -> Bool {
        left.text.isExactly(right.text)
    }

    package func hash(into hasher: inout Hasher) {
        var copy = text
        copy.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}

extension String {
    /// Whether both strings are the same bytes in UTF-8.
    package func isExactly(_ other: String) -> Bool {
        utf8.count == other.utf8.count && startsExactly(with: other)
    }

    /// Whether the bytes come before those of the other; Unicode scalars have the same order.
    package func precedesExactly(_ other: String) -> Bool {
        withBytes(of: other) { bytes, others in
            let order = Self.order(bytes, others, count: min(bytes.count, others.count))
            return order == 0 ? bytes.count < others.count : order < 0
        }
    }

    /// Whether the bytes begin with those of the other.
    package func startsExactly(with other: String) -> Bool {
        utf8.count >= other.utf8.count && withBytes(of: other) { Self.order($0, $1, count: $1.count) == 0 }
    }

    /// Whether the bytes end with those of the other.
    package func endsExactly(with other: String) -> Bool {
        utf8.count >= other.utf8.count
            && withBytes(of: other) { Self.order(UnsafeBufferPointer(rebasing: $0.suffix($1.count)), $1, count: $1.count) == 0 }
    }

    private func withBytes<Result>(
        of other: String, _ body: (UnsafeBufferPointer<UInt8>, UnsafeBufferPointer<UInt8>) -> Result
    ) -> Result {
        var (text, other) = (self, other)
        return text.withUTF8 { bytes in other.withUTF8 { body(bytes, $0) } }
    }

    /// The order of the first bytes; below, at or above zero.
    private static func order(_ left: UnsafeBufferPointer<UInt8>, _ right: UnsafeBufferPointer<UInt8>, count: Int) -> Int32 {
        guard count > 0, let left = left.baseAddress, let right = right.baseAddress else { return 0 }
        return memcmp(left, right, count)
    }
}
