internal import Foundation
internal import Plan

/// What stands for one image or video in a prompt: texts, and runs of tokens that take features.
struct ImagePieces {
    enum Part: Equatable {
        case text(String)
        /// So many features.
        case features(Int)
    }

    private(set) var parts: [Part] = []
    private let layout: ImageLayout
    private let features: FeatureTable
    private let number: Int
    /// The middle of each slice in seconds; none for images.
    private let times: [Double]

    /// - Parameter number: which image, or video, of the prompt it is, from 1.
    init(_ prompt: ImagePrompt, _ image: ReadImage, number: Int) {
        layout = image.layout
        features = image.features
        self.number = number
        times = image.video?.times ?? []
        add(prompt.pieces, Scope(count: features.count))
    }

    /// What `features` stands for, and which tile it is.
    private struct Scope {
        var count: Int
        /// Index into the layout's tiles.
        var tile: Int?
    }

    private mutating func add(_ pieces: [PromptPiece], _ scope: Scope) {
        for piece in pieces { add(piece, scope) }
    }

    private mutating func add(_ piece: PromptPiece, _ scope: Scope) {
        switch piece {
        case .text(let text): add(text: text, scope)
        case .features:
            guard scope.count > 0 else { return }
            if case .features(let count)? = parts.last { parts[parts.count - 1] = .features(count + scope.count) } else {
                parts.append(.features(scope.count))
            }
        case .tiles(let view, let pieces, let between, let rowEnd):
            guard let frame = layout.frames[view], features.counts.count == layout.tiles.count else { return }
            for (index, tile) in layout.tiles.enumerated() where tile.view == view {
                add(pieces, Scope(count: features.counts[index], tile: index))
                let scope = Scope(count: 0, tile: index)
                if tile.column + 1 < frame.tileColumns { add(text: between, scope) } else if tile.row + 1 < frame.tileRows { add(text: rowEnd, scope) }
            }
        case .lines(let pieces, let between):
            let tile = scope.tile ?? 0
            guard features.counts.count == layout.tiles.count else { return }
            let columns = features.columns[tile]
            let lines = columns == 0 ? 0 : features.counts[tile] / columns
            for line in 0..<lines {
                add(pieces, Scope(count: columns, tile: tile))
                if line + 1 < lines { add(text: between, Scope(count: 0, tile: tile)) }
            }
        case .view(let view, let pieces, let otherwise): add(layout.frames[view] == nil ? otherwise : pieces, scope)
        }
    }

    private mutating func add(text: String, _ scope: Scope) {
        guard !text.isEmpty else { return }
        var text = text.replacing("{image}", with: String(number)).replacing("{index}", with: String(number - 1))
        if let tile = scope.tile {
            text.replace("{row}", with: String(layout.tiles[tile].row + 1))
            text.replace("{column}", with: String(layout.tiles[tile].column + 1))
            let slice = layout.tiles[tile].slice
            if times.indices.contains(slice) { text.replace("{seconds}", with: String(format: "%.1f", times[slice])) }
        }
        if case .text(let last)? = parts.last { parts[parts.count - 1] = .text(last + text) } else { parts.append(.text(text)) }
    }
}

extension ImagePrompt {
    /// What stands for an image in the rendered template; `number` is its own, from 1.
    func marker(_ number: Int) -> String { marker.replacing("{image}", with: String(number)) }
}
