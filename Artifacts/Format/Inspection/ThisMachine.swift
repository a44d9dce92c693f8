import Glibc
package import Plan

/// What the operating system says about the processor this process runs on.
package enum ThisMachine {
    /// Instruction-set extensions that processor and operating system offer.
    package static func features() -> Set<CPUFeature> {
        Set(line("flags")?.split(separator: " ").compactMap { CPUFeature(rawValue: String($0)) } ?? [])
    }

    /// The processor's model name; `unknown` where the system does not tell.
    package static func processor() -> String { line("model name") ?? "unknown" }

    /// The first value of a field in `/proc/cpuinfo`.
    private static func line(_ field: String) -> String? {
        guard let file = try? OpenFile.reading("/proc/cpuinfo"), let bytes = file.stream(atMost: 1 << 16) else { return nil }
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            let text = String(decoding: line, as: UTF8.self)
            guard let colon = text.firstIndex(of: ":") else { continue }
            let name = text[..<colon].split(whereSeparator: \.isWhitespace).joined(separator: " ")
            if name == field { return String(text[text.index(after: colon)...].drop(while: \.isWhitespace)) }
        }
        return nil
    }
}

extension OpenFile {
    /// Reads a file whose length the system does not know beforehand.
    fileprivate func stream(atMost limit: Int) -> [UInt8]? {
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 4096)
        while bytes.count < limit {
            let count = Glibc.read(descriptor, &piece, piece.count)
            guard count > 0 else { break }
            bytes += piece[..<count]
        }
        return bytes
    }
}
