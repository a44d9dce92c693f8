/// Hands out the text of the module after each pass that changed it, and at each stage reached.
package final class PassDumper: PassObserver {
    private let write: (String, String) -> Void
    private var count = 0

    /// - Parameter write: takes a file name such as `03-fuse-rms-norm.vir` or `stage-fused.vir`, and the text.
    package init(write: @escaping (_ name: String, _ text: String) -> Void) { self.write = write }

    package func didRun(_ pass: Pass, _ report: PassReport, before: Module, after: Module) {
        count += 1
        guard before != after else { return }
        let number = count < 10 ? "0\(count)" : "\(count)"
        write("\(number)-\(pass.name).vir", Printer.print(after))
    }

    package func didReach(_ stage: Stage, _ module: Module) { write("stage-\(stage.rawValue).vir", Printer.print(module)) }
}

/// Keeps the lines of text that each pass took away and put in.
package final class PassRecorder: PassObserver {
    package struct Change: Sendable, Hashable, Codable {
        package var pass: String
        /// A unified list of lines, `-` before those that went and `+` before those that came; values keep their old numbers.
        package var lines: [String]
    }

    package private(set) var changes: [Change] = []

    package init() {}

    package func didRun(_ pass: Pass, _ report: PassReport, before: Module, after: Module) {
        guard before != after else { return }
        changes.append(Change(pass: pass.name, lines: ModuleDiff.lines(before, after)))
    }
}
