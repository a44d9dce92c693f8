import Foundation

/// Numbers as people read them.
package enum Figures {
    /// `4.40 GB`, `512 B`: powers of 1000.
    package static func bytes(_ count: Double) -> String { scaled(count, units: ["B", "kB", "MB", "GB", "TB"]) }

    package static func bytes(_ count: Int) -> String { bytes(Double(count)) }

    /// `3.1 G`: powers of 1000.
    package static func count(_ count: Double) -> String { scaled(count, units: ["", "k", "M", "G", "T"]) }

    /// `3 of 120 steps run on fallbacks: plain_exp × 2, plain_add × 1`, the most frequent first.
    package static func fallbacks(_ counts: [String: Int], of steps: Int) -> String {
        let list = counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\($0.key) × \($0.value)" }
        return "\(counts.values.reduce(0, +)) of \(steps) steps run on fallbacks: \(list.joined(separator: ", "))"
    }

    private static func scaled(_ value: Double, units: [String]) -> String {
        var (value, index) = (value, 0)
        while value >= 999.5 && index + 1 < units.count {
            value /= 1000
            index += 1
        }
        let isWhole = index == 0 && value == value.rounded()
        let digits = isWhole || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2
        let number = String(format: "%.\(digits)f", value)
        return units[index].isEmpty ? number : "\(number) \(units[index])"
    }

    /// `3 min ago`.
    package static func age(since seconds: Double) -> String {
        let elapsed = max(0, Date().timeIntervalSince1970 - seconds)
        switch elapsed {
        case ..<60: return "now"
        case ..<3600: return "\(Int(elapsed / 60)) min ago"
        case ..<172_800: return "\(Int(elapsed / 3600)) h ago"
        default: return "\(Int(elapsed / 86_400)) days ago"
        }
    }
}
