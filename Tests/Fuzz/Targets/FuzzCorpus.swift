import Foundation

/// The small files that a target's inputs are made from, and those that failed once.
package enum FuzzCorpus {
    /// In the order of their names; where there are none, one that is empty.
    package static func inputs(of target: FuzzTarget, under folder: String) -> [[UInt8]] {
        let files = named(target, under: folder).map(\.bytes)
        return files.isEmpty ? [[]] : files
    }

    package static func named(_ target: FuzzTarget, under folder: String) -> [(name: String, bytes: [UInt8])] {
        let folder = "\(folder)/\(target.name)"
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.sorted().compactMap { name in
            FileManager.default.contents(atPath: "\(folder)/\(name)").map { (name, Array($0)) }
        }
    }
}
