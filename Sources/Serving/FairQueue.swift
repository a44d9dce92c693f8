/// A queue whose peers take turns: what one peer adds is in order, and one peer's many wait for none of another's few.
package struct FairQueue<Element> {
    private struct Line {
        var peer: String
        var elements: [Element]
    }
    /// The peers that have elements, the one whose turn it is first.
    private var lines: [Line] = []

    package init() {}

    package var isEmpty: Bool { lines.isEmpty }

    /// The next element.
    package var first: Element? { lines.first?.elements.first }

    package mutating func append(_ element: Element, peer: String) {
        if let place = lines.firstIndex(where: { $0.peer == peer }) {
            lines[place].elements.append(element)
        } else {
            lines.append(Line(peer: peer, elements: [element]))
        }
    }

    /// Takes the next element; its peer's next one comes after one of every other peer.
    package mutating func popFirst() -> Element? {
        guard !lines.isEmpty else { return nil }
        var line = lines.removeFirst()
        let element = line.elements.removeFirst()
        if !line.elements.isEmpty { lines.append(line) }
        return element
    }

    /// Takes out the first element that `isWanted`; nil when there is none.
    package mutating func remove(where isWanted: (Element) -> Bool) -> Element? {
        for line in lines.indices {
            guard let place = lines[line].elements.firstIndex(where: isWanted) else { continue }
            let element = lines[line].elements.remove(at: place)
            if lines[line].elements.isEmpty { lines.remove(at: line) }
            return element
        }
        return nil
    }
}
