/// What a vision entry reads for one or more images: named tensors, and segmentations for its masks.
package struct VisionInput: Sendable, Hashable {
    /// What the rows of a tensor are, or its integers count: rows of patches, of the tower's result, of features.
    package enum Row: Sendable, Hashable { case patch, result, feature }

    package enum Values: Sendable, Hashable {
        case bytes([UInt8])
        case integers([Int32])
        case floats([Float])

        package var count: Int {
            switch self {
            case .bytes(let values): values.count
            case .integers(let values): values.count
            case .floats(let values): values.count
            }
        }

        /// Bytes in memory.
        package var byteCount: Int {
            switch self {
            case .bytes(let values): values.count
            case .integers, .floats: 4 * count
            }
        }
    }

    /// `[lines, rows, columns]`, of which lines or columns are often one and then no extent of their own.
    package struct Tensor: Sendable, Hashable {
        package var name: String
        package var values: Values
        package var row: Row
        /// Extent before the rows.
        package var lines: Int
        /// What the integers are indices of; nil where they are none.
        package var indexes: Row?

        package init(_ name: String, _ values: Values, of row: Row, lines: Int = 1, indexes: Row? = nil) {
            self.name = name
            self.values = values
            self.row = row
            self.lines = lines
            self.indexes = indexes
        }
    }

    package var patches: Int
    package var results: Int
    package var features: Int
    package var tensors: [Tensor]
    /// Where each segment begins, and last where they end, by the segmentation's name.
    package var segments: [String: [Int32]]

    package init(patches: Int, results: Int, features: Int, tensors: [Tensor], segments: [String: [Int32]]) {
        self.patches = patches
        self.results = results
        self.features = features
        self.tensors = tensors
        self.segments = segments
    }

    /// The input of that name; nil where there is none.
    package subscript(name: String) -> Tensor? { tensors.first { $0.name == name } }

    package func count(of row: Row) -> Int {
        switch row {
        case .patch: patches
        case .result: results
        case .feature: features
        }
    }

    package var byteCount: Int {
        tensors.reduce(0) { $0 + $1.values.byteCount } + segments.values.reduce(0) { $0 + 4 * $1.count }
    }

    /// One call for several images, at least one, that the same program made.
    package static func joined(_ inputs: [VisionInput]) -> VisionInput {
        var joined = inputs[0]
        guard inputs.count > 1 else { return joined }
        for index in joined.tensors.indices { joined.tensors[index].values = values(of: index, in: inputs) }
        for name in joined.segments.keys {
            var bounds: [Int32] = [0]
            for input in inputs {
                let start = bounds[bounds.count - 1]
                bounds += (input.segments[name] ?? []).dropFirst().map { $0 + start }
            }
            joined.segments[name] = bounds
        }
        joined.patches = inputs.reduce(0) { $0 + $1.patches }
        joined.results = inputs.reduce(0) { $0 + $1.results }
        joined.features = inputs.reduce(0) { $0 + $1.features }
        return joined
    }

    private static func values(of index: Int, in inputs: [VisionInput]) -> Values {
        let lines = inputs[0].tensors[index].lines
        func joined<Element>(_ read: (Values) -> [Element]?, _ moved: (Element, Int) -> Element) -> [Element] {
            var result: [Element] = []
            for line in 0..<lines {
                var start = 0
                for input in inputs {
                    let tensor = input.tensors[index]
                    let values = read(tensor.values) ?? []
                    let part = values[line * values.count / lines..<(line + 1) * values.count / lines]
                    if let row = tensor.indexes {
                        result += part.map { moved($0, start) }
                        start += input.count(of: row)
                    } else {
                        result += part
                    }
                }
            }
            return result
        }
        switch inputs[0].tensors[index].values {
        case .bytes: return .bytes(joined({ if case .bytes(let values) = $0 { values } else { nil } }, { value, _ in value }))
        case .integers:
            return .integers(joined({ if case .integers(let values) = $0 { values } else { nil } }, { $0 < 0 ? $0 : $0 + Int32($1) }))
        case .floats: return .floats(joined({ if case .floats(let values) = $0 { values } else { nil } }, { value, _ in value }))
        }
    }
}
