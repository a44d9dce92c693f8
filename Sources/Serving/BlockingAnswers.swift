internal import Foundation

/// Why an engine does not answer.
package struct EngineFailure: Error, Sendable, CustomStringConvertible {
    package let description: String
}

/// For callers that have nothing to do until the answer is there.
extension Engine {
    /// Waits until the engine serves; throws why it does not.
    package func waitUntilServing() throws(EngineFailure) {
        while true {
            switch phase {
            case .serving: return
            case .loading, .warming: Thread.sleep(forTimeInterval: 0.001)
            case .failed(let reason): throw EngineFailure(description: reason)
            case .draining, .stopped: throw EngineFailure(description: AdmissionError.notServing(phase).description)
            }
        }
    }

    /// Answers a request while the caller's thread waits, which is handed the text as it grows.
    ///
    /// What `onText` throws ends the request. Throws an `AdmissionError`, or an `EngineFailure` where the request fails.
    package func answer(_ request: GenerationRequest, onText: (String) throws -> Void = { _ in }) throws -> Completion {
        let events = Mailbox<GenerationEvent>()
        let ids = try post(request) { events.post($0) }
        var arrived: [GenerationEvent] = []
        while true {
            events.drain(into: &arrived, waits: true)
            for event in arrived {
                switch event {
                case .text(let text, _):
                    do { try onText(text) } catch {
                        cancel(ids)
                        throw error
                    }
                case .token, .prompt: break
                case .finished(let completion): return completion
                case .failed(let reason): throw EngineFailure(description: reason.description)
                }
            }
            arrived.removeAll(keepingCapacity: true)
        }
    }

    /// Answers requests side by side while the caller's thread waits; completions in the order of the requests.
    package func answers(_ requests: [GenerationRequest]) throws -> [Completion] {
        let events = Mailbox<(index: Int, event: GenerationEvent)>()
        for (index, request) in requests.enumerated() {
            _ = try post(request) { events.post((index, $0)) }
        }
        var arrived: [(index: Int, event: GenerationEvent)] = [], completions: [Int: Completion] = [:]
        while completions.count < requests.count {
            events.drain(into: &arrived, waits: true)
            for (index, event) in arrived {
                switch event {
                case .text, .token, .prompt: break
                case .finished(let completion): completions[index] = completion
                case .failed(let reason): throw EngineFailure(description: reason.description)
                }
            }
            arrived.removeAll(keepingCapacity: true)
        }
        return requests.indices.compactMap { completions[$0] }
    }
}
