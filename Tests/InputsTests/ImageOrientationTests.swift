import Inputs
import Seeded
import Testing

/// How files lie, next to what Pillow's `exif_transpose` goes by.
@Suite struct ImageOrientationTests {
    struct Row: Decodable, Sendable, CustomTestStringConvertible {
        var name: String
        var format: String
        /// Chunks or segments: name and body in hexadecimal digits.
        var parts: [[String]]
        var orientation: Int
        var testDescription: String { "\(format): \(name)" }

        /// A file's headers with these parts in it.
        var file: [UInt8] {
            let bodies = parts.map { (name: Array($0[0].utf8), body: Self.bytes($0[1])) }
            if format == "jpeg" {
                var file: [UInt8] = [0xFF, 0xD8]
                for part in bodies { file += [0xFF, 0xE1] + Self.big(part.body.count + 2, 2) + part.body }
                return file + [0xFF, 0xC0, 0, 8, 8, 0, 1, 0, 2, 1, 0xFF, 0xDA]
            }
            let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 13, 10, 26, 10]
            let header = (name: Array("IHDR".utf8), body: Self.big(2, 4) + Self.big(1, 4) + [8, 2, 0, 0, 0])
            return ([header] + bodies).reduce(into: signature) { file, chunk in
                file += Self.big(chunk.body.count, 4) + chunk.name + chunk.body + [0, 0, 0, 0]
            }
        }

        private static func big(_ number: Int, _ count: Int) -> [UInt8] {
            (0..<count).reversed().map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
        }

        private static func bytes(_ digits: String) -> [UInt8] {
            let digits = digits.compactMap { $0.hexDigitValue.map(UInt8.init) }
            return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
        }
    }

    @Test func orientationsEqualPillow() throws {
        let rows = try ImageFixture.load("exif.json", as: [Row].self)
        #expect(rows.count > 200)
        #expect(Set(rows.map(\.orientation)).isSuperset(of: [1, 3, 6, 8]))
        for row in rows {
            #expect(try ImageHeader(row.file).orientation.rawValue == row.orientation, "\(row.testDescription)")
        }
    }

    @Test func damagedMetadataNeverTraps() throws {
        var generator = Dice(4)
        for row in try ImageFixture.load("exif.json", as: [Row].self) {
            for _ in 0..<20 {
                var file = row.file
                for _ in 0..<Int.random(in: 1...6, using: &generator) {
                    let position = Int.random(in: 2..<file.count, using: &generator)
                    file[position] = UInt8.random(in: 0...255, using: &generator)
                }
                _ = try? ImageHeader(file)
            }
        }
    }
}
