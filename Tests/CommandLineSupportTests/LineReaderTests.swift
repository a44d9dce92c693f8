import CommandLineSupport
import Foundation
import Testing

/// Files read line by line.
@Suite struct LineReaderTests {
    private func lines(_ text: String, most: Int = 1 << 20) throws -> [(number: Int, text: String?, isWhole: Bool, offset: Int)] {
        let path = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        var reader = try LineReader(path, lineBytesMax: most)
        var found: [(Int, String?, Bool, Int)] = []
        while let line = try reader.next() {
            found.append((line.number, line.bytes.map { String(decoding: $0, as: UTF8.self) }, line.isWhole, reader.offset))
        }
        return found
    }

    @Test func linesHaveNoBreaksAndNoSpacesAround() throws {
        let found = try lines("a\r\n\n  b c \nlast")
        #expect(found.map(\.text) == ["a", "", "b c", "last"] && found.map(\.number) == [1, 2, 3, 4])
        #expect(found.map(\.isWhole) == [true, true, true, false] && found.map(\.offset) == [3, 4, 11, 15])
        #expect(try lines("").isEmpty)
        #expect(try lines("\n").map(\.text) == [""])
    }

    @Test func longLinesAreRefusedAndPassed() throws {
        let long = String(repeating: "x", count: 700_000)
        #expect(try lines("a\n\(long)\nb\n", most: 699_999).map(\.text) == ["a", nil, "b"])
        #expect(try lines("a\n\(long)\nb\n", most: 700_000).map(\.text?.count) == [1, 700_000, 1])
    }

    @Test(arguments: [
        ("/dev/zero", "/dev/zero: not a regular file"), ("/tmp", "/tmp: Is a directory"), ("/nowhere/at/all", "/nowhere/at/all: No such file or directory"),
    ])
    func onlyRegularFilesAreRead(path: String, message: String) {
        let error = #expect(throws: FileError.self) { _ = try LineReader(path, lineBytesMax: 1) }
        #expect(error?.description == message && error?.named("--file").description == "--file \(message)")
    }

    @Test func aDeviceWithNothingToReadIsAnEmptyFile() throws {
        var reader = try LineReader("/dev/null", lineBytesMax: 1)
        #expect(try reader.next() == nil)
    }
}
