import IR
import Reference
import Tensors
import Testing

/// The matrices that masks stand for, drawn: a row for each query, `x` where it sees the key.
@Suite struct MaskedCallTests {
    private func rows(_ mask: Mask, _ call: MaskedCall) throws -> [String] {
        let matrix = try call.matrix(of: mask)
        #expect(matrix.element == .bool)
        return (0..<matrix.shape[0]).map { row in
            String(matrix.ints[row * matrix.shape[1]..<(row + 1) * matrix.shape[1]].map { $0 == 1 ? "x" : "." })
        }
    }

    @Test func causalMasksEndAtTheQuery() throws {
        #expect(try rows(.causal(), MaskedCall(2..<5, slots: 6)) == ["xxx...", "xxxx..", "xxxxx."])
    }

    @Test func aWindowCountsTheQueryItself() throws {
        #expect(try rows(.causal(window: 2), MaskedCall(0..<4, slots: 4)) == ["x...", "xx..", ".xx.", "..xx"])
        #expect(try rows(.causal(window: 1), MaskedCall(2..<4, slots: 4)) == ["..x.", "...x"])
    }

    /// `create_causal_mask_mapping` of Gemma3: the window holds for what lies behind, not for the rest of the span.
    @Test func spansAreSeenToTheirEnd() throws {
        let call = MaskedCall(0..<6, slots: 6, spans: [1..<4])
        #expect(try rows(.causal(spans: true), call) == ["x.....", "xxxx..", "xxxx..", "xxxx..", "xxxxx.", "xxxxxx"])
        #expect(try rows(.causal(window: 2, spans: true), call) == ["x.....", "xxxx..", ".xxx..", "..xx..", "...xx.", "....xx"])
        #expect(try rows(.causal(), call).first == "x.....")
    }

    @Test func sequencesDoNotSeeEachOther() throws {
        let call = MaskedCall(
            queries: [.init(sequence: 0, position: 1), nil, .init(sequence: 1, position: 0)],
            keys: [.init(sequence: 1, position: 0), .init(sequence: 0, position: 0), nil, .init(sequence: 0, position: 1)],
            spans: [1: [0..<2]])
        #expect(try rows(.causal(), call) == [".x.x", "....", "x..."])
    }

    @Test func segmentsOfQueriesAndKeysMayDiffer() throws {
        let call = MaskedCall(bounds: ["queries": [0, 1, 1, 3], "tiles": [0, 2, 3, 5]])
        #expect(try rows(.segments("tiles"), call) == ["xx...", "xx...", "..x..", "...xx", "...xx"])
        #expect(try rows(.segments(queries: "queries", keys: "tiles"), call) == ["xx...", "...xx", "...xx"])
        #expect(throws: EvaluationError.self) { try call.matrix(of: .segments("windows")) }
    }
}
