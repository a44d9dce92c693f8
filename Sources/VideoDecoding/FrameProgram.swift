package import Budgets
internal import Glibc
package import Inputs

/// Decodes video files by `vlm-video-frames`, a process for each look at a file.
///
/// The process sees the file and nothing else; it has bounds of memory and processor time, no access to files or the network, and is
/// ended where it is not done in time. Whatever becomes of it is an error of the file.
package struct FrameProgram: VideoDecoder {
    package struct Limits: Sendable {
        /// Address space of the process.
        package var memoryBytes = 2 << 30
        package var cpuSeconds = 60
        package var wallSeconds = 90.0
        /// Pixels of a frame, frames and seconds of a file.
        package var pixels = 1 << 25
        package var frames = 1 << 18
        package var seconds = 3600 * 2

        package init() {}
    }

    private let path: String
    package var limits = Limits()

    package init(path: String) { self.path = path }

    /// The program that lies beside this one; nil where none does.
    package static func sibling() -> FrameProgram? {
        var bytes = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let count = readlink("/proc/self/exe", &bytes, Int(PATH_MAX))
        guard count > 0 else { return nil }
        let own = String(decoding: bytes[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        guard let slash = own.lastIndex(of: "/") else { return nil }
        let path = own[..<slash] + "/vlm-video-frames"
        return access(String(path), X_OK) == 0 ? FrameProgram(path: String(path)) : nil
    }

    private func run(_ file: [UInt8], _ indices: [Int], _ budget: WorkBudget) throws(ImageError) -> FrameProcess {
        let bounds = [limits.memoryBytes, limits.cpuSeconds, limits.pixels, limits.frames, limits.seconds]
        return try FrameProcess(
            path, (bounds + indices).map(String.init), file: file, budget: budget, deadline: .now + .seconds(limits.wallSeconds))
    }

    package func facts(of file: [UInt8], budget: WorkBudget) throws(ImageError) -> VideoFacts {
        guard !file.isEmpty else { throw .video("has 0 bytes") }
        let process = try run(file, [], budget)
        let line = String(decoding: try process.read(160), as: UTF8.self)
        let numbers = line.split(separator: "\n").first?.split(separator: " ").compactMap { Int($0) } ?? []
        guard numbers.count == 5, numbers[0] > 0, numbers[1] > 0, numbers[2] > 0, numbers[4] > 0 else { throw process.fault() }
        return VideoFacts(width: numbers[0], height: numbers[1], frameCount: numbers[2], rate: Double(numbers[3]) / Double(numbers[4]))
    }

    package func frames(_ indices: [Int], of file: [UInt8], _ facts: VideoFacts, budget: WorkBudget) throws(ImageError) -> any FrameSource {
        Frames(process: try run(file, indices, budget), facts: facts)
    }
}

/// Frames as the process puts them out.
private struct Frames: FrameSource {
    let process: FrameProcess
    let facts: VideoFacts

    func next() throws(ImageError) -> Image {
        let header = try process.read(12)
        guard header.count == 12, header.starts(with: Array("FRM1".utf8)) else { throw process.fault() }
        func number(_ start: Int) -> Int { header[start..<start + 4].reversed().reduce(0) { $0 << 8 | Int($1) } }
        let (width, height) = (number(4), number(8))
        guard width == facts.width, height == facts.height else {
            throw .video("changes its size to \(width)×\(height) pixels; code it anew with one size")
        }
        let pixels = try process.read(3 * width * height)
        guard pixels.count == 3 * width * height else { throw process.fault() }
        return Image(width: width, height: height, pixels: pixels)
    }
}
