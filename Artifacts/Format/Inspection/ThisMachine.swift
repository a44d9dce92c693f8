import Glibc

/// What the operating system says about the processor this process runs on.
package enum ThisMachine {
    /// The processor's name with its family and model; `unknown processor` where the system does not tell.
    package static func processor() -> String {
        let fields = fields()
        guard let name = fields["model name"] else { return "unknown processor" }
        guard let family = fields["cpu family"], let model = fields["model"] else { return name }
        return "\(name) (family \(family) model \(model))"
    }

    /// The first processor's fields in `/proc/cpuinfo`.
    private static func fields() -> [String: String] {
        guard let file = try? OpenFile.reading("/proc/cpuinfo") else { return [:] }
        let text = String(decoding: file.stream(atMost: 1 << 14), as: UTF8.self)
        var fields: [String: String] = [:]
        for line in text.split(separator: "\n") {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let name = line[..<colon].split(whereSeparator: \.isWhitespace).joined(separator: " ")
            if fields[name] == nil { fields[name] = String(line[line.index(after: colon)...].drop(while: \.isWhitespace)) }
        }
        return fields
    }
}

extension OpenFile {
    /// Reads a file whose length the system does not know beforehand.
    fileprivate func stream(atMost limit: Int) -> [UInt8] {
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
