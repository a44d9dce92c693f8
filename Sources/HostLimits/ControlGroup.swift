/// A control group of Linux, of either version, that this process is in.
package struct ControlGroup: Sendable, Equatable {
    /// Where its files lie; inside a container that may be nowhere.
    package var folder: String
    /// Whether it is of version 2, where one tree has every controller.
    package var isUnified: Bool

    /// The groups for a controller (`cpu`, `memory`) that a process is in, and those around them, from the innermost.
    ///
    /// - Parameter listing: the text of `/proc/self/cgroup`; lines of another form are passed over.
    package static func all(in listing: String, controller: String) -> [ControlGroup] {
        var groups: [ControlGroup] = []
        for line in listing.split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            let isUnified = fields[1].isEmpty
            guard isUnified || fields[1].split(separator: ",").contains(where: { $0 == controller }) else { continue }
            // A tree of several controllers has a link by the name of each, or one folder by all their names.
            let roots = isUnified ? [""] : fields[1] == controller ? ["/\(controller)"] : ["/\(controller)", "/\(fields[1])"]
            for root in roots {
                var names = fields[2].split(separator: "/")
                while true {
                    let folder = (["/sys/fs/cgroup" + root] + names.map(String.init)).joined(separator: "/")
                    groups.append(ControlGroup(folder: folder, isUnified: isUnified))
                    guard names.popLast() != nil else { break }
                }
            }
        }
        return groups
    }
}
