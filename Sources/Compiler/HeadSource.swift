package import ArtifactFormat
internal import HuggingFace
internal import IR
internal import Models
package import Plan
import Tensors

/// A directory with a head that guesses tokens of a model (`EagleHead`), before it is known what it takes of that model's weights.
package struct HeadSource {
    private let files: ModelDirectory
    private let own: Checkpoint
    private let head: EagleHead
    private let model: ModelSource

    /// Throws where the head does not fit the model.
    package init(directory: String, of model: ModelSource, store: Store) throws(CompileError) {
        do throws(CheckpointError) {
            files = try ModelDirectory(directory)
            own = try Checkpoint(directory: files.path, cache: store.digestCache)
            head = try EagleHead(files, own.types, of: model.definition.geometry)
        } catch { throw .checkpoint(error) }
        self.model = model
    }

    /// What the model is to give beside its logits.
    package var innerStates: InnerStates { head.inner }

    /// The head with what it takes of the model's weights, which can be compiled.
    package func source() throws(CompileError) -> ModelSource {
        do throws(CheckpointError) {
            let borrowed = try borrowed()
            let checkpoint = own.adding(Array(borrowed.values), of: model.checkpoint)
            var sections: [SectionName: [UInt8]] = [:]
            if let table = try draftTokens() { sections[.draftTokens] = table }
            return try ModelSource(files, checkpoint, head.borrowing(borrowed), head: head.inner, of: model, sections)
        } catch { throw .checkpoint(error) }
    }

    /// What the model's checkpoint calls the tensors that the head lacks, by the head's names for them.
    private func borrowed() throws(CheckpointError) -> [String: String] {
        guard !head.borrowed.isEmpty else { return [:] }
        let cell = model.definition.geometry.mergeSize * model.definition.geometry.mergeSize
        let bounds = TraceBounds(tokens: 1, rows: 1, slots: 2, imageRows: 1, patches: cell, features: 1)
        let weights = try model.definition.trace(CheckpointTypes(model.checkpoint), bounds: bounds).weights
        var sources: [String: String] = [:]
        for name in head.borrowed {
            let wanted = name == "lm_head.weight" ? name : "model.\(name)"
            if let found = weights.first(where: { $0.name == wanted }) { sources[name] = found.source }
        }
        let embedding = weights.first { $0.name == "model.embed_tokens.weight" }
        let isTied = !weights.contains { $0.name.hasPrefix("lm_head.") }
        for name in head.borrowed where sources[name] == nil {
            if name == "lm_head.weight", isTied, embedding != nil { continue }
            throw CheckpointError(.unsupported, file: files.path, tensor: name, "is missing, and \(model.directory) has it in no form that can be lent")
        }
        return sources
    }

    /// By the head's tokens those of the model, as little-endian i32; nil where they are the same.
    private func draftTokens() throws(CheckpointError) -> [UInt8]? {
        guard let table = own["d2t"] else { return nil }
        let limit = model.definition.geometry.vocabularySize
        let count = head.geometry.vocabularySize
        func error(_ message: String) -> CheckpointError { CheckpointError(.inconsistent, file: table.file.path, tensor: table.name, message) }
        guard table.type.shape == [.fixed(count)], [.i64, .i32].contains(table.type.element) else {
            throw error("is \(table.type); a head of \(count) tokens has as many whole numbers")
        }
        let bytes = table.type.element.byteCount
        return try table.withBytes { (raw: UnsafeRawBufferPointer) throws(CheckpointError) -> [UInt8] in
            var result: [UInt8] = []
            result.reserveCapacity(4 * count)
            for index in 0..<count {
                let offset =
                    bytes == 8
                    ? Int(Int64(littleEndian: raw.loadUnaligned(fromByteOffset: 8 * index, as: Int64.self)))
                    : Int(Int32(littleEndian: raw.loadUnaligned(fromByteOffset: 4 * index, as: Int32.self)))
                let (token, overflow) = index.addingReportingOverflow(offset)
                guard !overflow, (0..<limit).contains(token) else {
                    throw error("makes the head's token \(index) the model's \(index) + \(offset), which is none of its \(limit)")
                }
                withUnsafeBytes(of: Int32(token).littleEndian) { result.append(contentsOf: $0) }
            }
            return result
        }
    }
}
