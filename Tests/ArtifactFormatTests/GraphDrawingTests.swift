import ArtifactFormat
import Foundation
import Testing

@Suite struct GraphDrawingTests {
    static let text = """
        // vir 1 · stage: fused
        weight @w : f32[8, 8]

        graph @extend(%x: f32[T, 8], %slots: i32[T], state %kv.0.k: f32[S, 2, 4]) -> f32[T, 8] {
          %0 = weight @w                          : f32[8, 8]
          %1 = linear %x, %0 {activation = none}  : f32[T, 8]  // model.layers.0 <"q">
          %2 = kv_write %kv.0.k, %1, %slots       : f32[S, 2, 4]
          update %kv.0.k = %2
          return %1
        }
        """

    @Test func outlineHasBoxesAndArrows() {
        let outline = GraphOutline(text: Self.text)
        #expect(outline.boxes.map(\.label.first) == ["%x", "%slots", "%kv.0.k", "linear {activation = none}", "kv_write", "update %kv.0.k", "return"])
        #expect(outline.boxes[3].label.contains("weight @w"))
        #expect(outline.boxes[2].label[1] == "f32[S, 2, 4]")
        let arrows = Set(outline.arrows.map { "\($0.from) \($0.to)" })
        #expect(arrows == ["g1%x g1%1", "g1%kv.0.k g1%2", "g1%1 g1%2", "g1%slots g1%2", "g1%2 g1update%kv.0.k", "g1%1 g1return"])
    }

    @Test func drawingsAreWellFormed() {
        let outline = GraphOutline(text: Self.text)
        #expect(outline.dot().hasPrefix("digraph model {") && outline.dot().contains("n0 -> n3;"))
        #expect(outline.dot().contains("<\\\"q\\\">"))
        let svg = outline.svg()
        #expect(svg.contains("&lt;\"q\"&gt;"))
        #expect(svg.split(separator: "\n").count { $0.hasPrefix("<rect x") } == outline.boxes.count)
        #expect(svg.split(separator: "\n").count { $0.hasPrefix("<path") } == outline.arrows.count)
    }

    @Test func brokenTextDoesNoHarm() {
        let lines = Self.text.split(separator: "\n", omittingEmptySubsequences: false)
        for count in 0..<Self.text.count { _ = GraphOutline(text: String(Self.text.prefix(count))).svg() }
        _ = GraphOutline(text: lines.reversed().joined(separator: "\n")).dot()
    }
}
