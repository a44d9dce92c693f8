import ArtifactFormat
import Crypto
import Foundation
import HuggingFace
import IR
import Inputs
import Passes
import Plan
import Tensors

/// What a calibration found, as the store keeps it: a safetensors file with factors and shares, and the report in its header.
struct CalibrationRecord: Sendable {
    /// Of the searches; others may find something else on the same inputs.
    static let version = 1

    let report: CalibrationReport
    /// For the pass.
    let layers: CalibratedLayers
    /// Weights by the names that recipes use.
    let tensors: [String: TensorView]

    /// What is kept as text.
    private struct Facts: Codable {
        var version = CalibrationRecord.version
        var report: CalibrationReport
        /// By the report's groups.
        var keys: [String]
    }

    /// Names that no checkpoint has.
    private static let prefix = "vlm.calibration."
    private static let header = "calibration"

    /// The file of what was found, tensors by their names.
    static func encoded(_ found: [CalibrationRun.Found], _ report: CalibrationReport) throws -> [UInt8] {
        var (writer, report) = (SafetensorsWriter(), report)
        var keys: [String] = []
        for (index, (site, outcome, layers)) in found.enumerated() {
            var group = CalibratedLayers.Group(alpha: outcome.alpha, reason: nil, factors: nil, layers: [])
            if case .failure(let refusal) = site.producer { group.reason = refusal.reason }
            if let factors = outcome.factors {
                group.factors = "\(prefix)\(index).factors"
                writer.add("\(prefix)\(index).factors", .f32, shape: [factors.count], factors)
            }
            for (place, layer) in layers.enumerated() {
                let (name, shares) = ("\(prefix)\(index).shares.\(place)", outcome.shares[place])
                writer.add(name, .u8, shape: [layer.outputs, shares.count / max(layer.outputs, 1)], shares)
                group.layers.append(
                    CalibratedLayers.Layer(
                        origin: layer.origin, shares: name, error: outcome.errors[place], nearestError: outcome.nearestErrors[place]))
            }
            keys.append(site.key)
            report.groups.append(group)
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        writer.metadata = [header: String(decoding: try encoder.encode(Facts(report: report, keys: keys)), as: UTF8.self)]
        return writer.encoded()
    }

    /// Opens such a file; nil where there is none, or another version's, or a damaged one.
    init?(path: String, isStored: Bool) {
        guard let file = try? SafetensorsFile(path: path), let text = file.metadata[Self.header],
            let facts = try? JSONDecoder().decode(Facts.self, from: Data(text.utf8)), facts.version == Self.version,
            facts.keys.count == facts.report.groups.count
        else { return nil }
        var tensors: [String: TensorView] = [:]
        for group in facts.report.groups {
            for name in group.layers.map(\.shares) + [group.factors].compactMap({ $0 }) {
                guard let tensor = file[name] else { return nil }
                tensors[name] = tensor
            }
        }
        var report = facts.report
        report.isStored = isStored
        self.report = report
        self.tensors = tensors
        layers = CalibratedLayers(groups: Dictionary(zip(facts.keys, facts.report.groups)) { first, _ in first })
    }

    /// For the module whose recipes read them.
    var declarations: [WeightDecl] { tensors.sorted { $0.key < $1.key }.map { WeightDecl($0.key, $0.value.type) } }

    /// SHA-256 of each tensor's bytes.
    var digests: [String: String] {
        tensors.mapValues { view in view.withBytes { bytes in SHA256.hash(data: Data(bytes)).hexadecimal } }
    }
}

extension Compilation {
    /// What a calibration finds of the decoder's layers, from the store where it has it; nil where none is asked for.
    ///
    /// - Parameter module: as it was traced.
    func calibrated(_ module: Module) throws(CompileError) -> CalibrationRecord? {
        guard let rounding = options.rounding, rounding.isCalibrated, let calibration, measuresRounding else { return nil }
        do {
            let name = try recordName(calibration)
            let path = "\(store.recordsPath(.calibrations))/\(name)"
            if !options.isForced, let known = CalibrationRecord(path: path, isStored: true) { return known }
            try store.setRecord(.calibrations, name, try computed(calibration, module))
            guard let record = CalibrationRecord(path: path, isStored: false) else {
                throw CompileError.internalInconsistency("\(path) cannot be read behind its calibration")
            }
            return record
        } catch let error as CompileError {
            throw error
        } catch let error as ArtifactError {
            throw .artifact(error)
        } catch {
            throw .unsupported("--quantize \(rounding.rawValue): calibration on \(calibration.name): \(error)")
        }
    }

    /// Everything that what is found follows from.
    private func recordName(_ calibration: CalibrationInputs) throws(CompileError) -> String {
        let digests: WeightDigests
        do throws(CheckpointError) { digests = try source.checkpoint.digests() } catch { throw .checkpoint(error) }
        var lines = ["\(CalibrationRecord.version)", toolVersion, digests.checkpoint, source.tensorDigest, calibration.digest, "\(options.takesAdapters)", "\(options.rewriteLimit ?? -1)"]
        let configs = source.digests
        lines += [configs.config, configs.tokenizer, configs.processor, configs.template]
        lines += earlierPasses.map { "\($0.name)@\($0.version)" }
        return String(SHA256.hash(data: Data(lines.joined(separator: "\n").utf8)).hexadecimal.prefix(32)) + ".safetensors"
    }

    private var earlierPasses: [Pass] { Array(passes.passes.prefix { $0.name != "quantize-layers" }) }

    private func computed(_ calibration: CalibrationInputs, _ module: Module) throws -> [UInt8] {
        var fused = module
        _ = try PassPipeline(earlierPasses).run(on: &fused, options: PassPipeline.Options(rewriteLimit: options.rewriteLimit))
        let sites = sharedSites(fused)
        guard !sites.isEmpty else { throw CompileError.unsupported("the decoder has no linear layers that int4 kernels read") }
        let tensors = Dictionary(fused.weights.compactMap { weight in source.checkpoint[weight.source].map { (weight.name, $0) } }) { first, _ in first }
        let run = CalibrationRun(fused, tensors, try calibration.prompts())
        guard !run.prompts.isEmpty else { throw CompileError.badOption("--calibration \(calibration.name): no prompt has at most \(CalibrationInputs.tokensMax) tokens") }
        tell(.began(phase: "calibrating", total: sites.reduce(0) { $0 + run.byteCount(of: $1) }))
        let found = try run.found(sites) { tell(.advanced(bytes: $0)) }
        let report = CalibrationReport(
            name: calibration.name, prompts: run.prompts.count, pictures: run.prompts.reduce(0) { $0 + $1.images.count },
            tokens: run.prompts.reduce(0) { $0 + $1.tokens.count })
        return try CalibrationRecord.encoded(found, report)
    }
}
