package import ArtifactFormat
import HuggingFace
package import IR
import Inputs
import Models
import Passes
import Plan
import Tensors

/// One compile: from a model directory to an artifact, or to the fact that the store has it.
package struct Compilation {
    /// What a compile tells while it runs; called from the thread that compiles.
    package enum Event: Sendable {
        /// A phase begins; `total` bytes of work, 0 when unknown.
        case began(phase: String, total: Int)
        case advanced(bytes: Int)
        /// Another process compiles the same artifact.
        case waiting
        /// The fields in which the nearest artifact of the store differs.
        case rebuilding([ArtifactKey.Difference])
        /// What is wrong with the artifact that the store has.
        case replacing(ArtifactError)
        /// The store has no artifact of the model.
        case beginning(model: String)
        /// The artifact that the store has keeps the model's earlier name, for this reason.
        case keptName(ArtifactError)
    }

    package let source: ModelSource
    package let options: CompileOptions
    package let store: Store
    package let machine: Machine
    /// Where passes are observed: dumps, timing. With observers every pass runs, whatever the store has.
    package var observers: [any PassObserver] = []
    /// Runs the complete artifact before it is published and returns its self-test; not called for another machine's target, nor for a head.
    package var golden: ((Artifact) throws(ArtifactError) -> Golden)?
    /// Whether the store keeps the machine's rates for later compiles: those measured here, not those of another.
    package var remembersMachine = true
    /// Whether weights are read to tell how far rounding takes them; without it no layer is too far off.
    package var measuresRounding = true
    /// What the model is computed on where scales are searched; without it they are not.
    package var calibration: CalibrationInputs?
    private let report: @Sendable (Event) -> Void
    let limits: Program.Limits
    private let clock = ContinuousClock()

    package init(
        _ source: ModelSource, options: CompileOptions, store: Store, machine: Machine, report: @escaping @Sendable (Event) -> Void
    ) throws(CompileError) {
        self.source = source
        self.options = options
        self.store = store
        self.machine = machine
        self.report = report
        try Self.check(options.rounding, source)
        let geometry = source.definition.geometry
        let length = geometry.maxPositions
        limits = try options.limits(
            modelLength: length, patches: source.maxPatches(modelLength: min(options.maxModelLength ?? length, length)),
            cell: geometry.mergeSize * geometry.mergeSize)
    }

    private static func check(_ rounding: LayerRounding?, _ source: ModelSource) throws(CompileError) {
        if let rounding, rounding.decoderBits != nil, let quantization = source.quantization {
            throw .badOption("--quantize \(rounding.rawValue): the checkpoint is quantized already, by \(quantization.summary)")
        }
    }

    func tell(_ event: Event) { report(event) }

    /// The passes, after every flag had its say.
    package var passes: PassPipeline { passes(over: nil, nil) }

    /// The passes for a module, whose weights they measure where they round them.
    private func passes(over module: Module?, _ calibrated: CalibrationRecord?) -> PassPipeline {
        var policy = KernelPolicy(
            isExact: options.precision == .exact, features: options.target.features, arithmetic: arithmetic)
        if let bytes = options.screenedBytes { policy.screenedBytes = bytes }
        policy.rounding = options.rounding
        if let bound = options.roundingBound { policy.bound(by: bound) }
        guard let module, options.rounding != nil, measuresRounding else { return pipeline(gears: limits.gears, policy: policy) }
        var tensors = calibrated?.tensors ?? [:]
        for weight in module.weights { if let tensor = source.checkpoint[weight.source] { tensors[weight.name] = tensor } }
        let errors = RoundingErrors(tensors)
        return pipeline(
            gears: limits.gears, policy: policy, error: { recipe, form throws(PassError) in try errors.share(recipe, form) },
            calibration: calibrated?.layers)
    }

    private var arithmetic: Arithmetic { machine.arithmetic(for: options.target, options.precision) }

    /// The mathematics of the model, before any pass.
    package func traced() throws(CompileError) -> Module {
        var bounds = TraceBounds(
            tokens: limits.maxBatchedTokens, rows: limits.maxSequences, slots: limits.maxModelLength,
            imageRows: limits.maxBatchedTokens, patches: max(1, limits.maxPatches),
            features: max(1, source.inputs.image?.maxFeatures(rows: limits.maxPatches) ?? 1))
        bounds.takesAdapters = options.takesAdapters
        bounds.innerStates = options.innerStates
        do throws(CheckpointError) {
            let module = try source.definition.trace(CheckpointTypes(source.checkpoint), bounds: bounds)
            guard options.takesAdapters, !module.graphs.contains(where: { $0.nodes.contains { $0.op is Adapt } }) else { return module }
        } catch { throw .checkpoint(error) }
        throw .badOption("--enable-lora: the decoder has none of the layers that adapters may change: \(AdapterConfiguration.layers.joined(separator: ", "))")
    }

    /// The mathematics of the model with the passes that it is to run through, its layers calibrated where that is asked for.
    package func tracedWithPasses() throws(CompileError) -> (module: Module, passes: PassPipeline) {
        let (module, calibrated) = try tracedAndCalibrated()
        return (module, passes(over: module, calibrated))
    }

    private func tracedAndCalibrated() throws(CompileError) -> (module: Module, calibrated: CalibrationRecord?) {
        var module = try traced()
        let calibrated = try calibrated(module)
        module.weights += calibrated?.declarations ?? []
        return (module, calibrated)
    }

    /// The module after the passes up to `options.stopAfter`, and what they did.
    func lowered() throws(CompileError) -> (module: Module, reports: [PassRecord], calibrated: CalibrationRecord?) {
        var (module, calibrated) = try tracedAndCalibrated()
        var settings = PassPipeline.Options(
            verifies: options.verifies, rewriteLimit: options.rewriteLimit, stopAfter: options.stopAfter)
        settings.limitsEveryPass = options.stopAfter != nil
        do throws(PassError) {
            let passes = passes(over: module, calibrated)
            let reports = try passes.run(on: &module, options: settings, observers: observers)
            return (module, zip(reports, passes.passes).map { PassRecord($0, of: $1) }, calibrated)
        } catch { throw .internalInconsistency("\(error)") }
    }

    /// Compiles unless the store has the artifact; two compiles of the same key build it once.
    package func run() throws(CompileError) -> CompileReport {
        if options.stopAfter != nil {
            var result = CompileReport(.stopped)
            let (_, reports, calibrated) = try timed("passes", &result) { () throws(CompileError) in try lowered() }
            (result.passes, result.calibration) = (reports, calibrated?.report)
            return result
        }
        if options.isOnlyLookedUp { return try lookedUp() }
        let missing = store.missingDirectories
        let undo = { @Sendable [store] in missing.isEmpty ? store.removeEmptyDirectories() : store.remove(createdFrom: missing) }
        let unfinished = Unfinished(undo: undo)
        do {
            let report = try build()
            unfinished.settle {}
            return report
        } catch {
            unfinished.settle(undo)
            throw error
        }
    }

    /// What the store has of the directory as it is now; weights are read only where an artifact of such tensors is there.
    private func lookedUp() throws(CompileError) -> CompileReport {
        var result = CompileReport(.hit)
        let tensors = source.tensorDigest
        guard store.list().contains(where: { $0.manifest.key.tensors == tensors }) else { throw notStored() }
        let digests = try timed("digest", &result) { () throws(CompileError) in try digestedWeights() }
        result.digestedBytes = digests.readByteCount
        var damage: ArtifactError?
        guard let path = try known(key(digests), &damage) else { throw notStored(damage) }
        return try hit(path, result)
    }

    private func notStored(_ damage: ArtifactError? = nil) -> CompileError {
        .notStored(model: source.directory, store: store.root, damage: damage)
    }

    private func build() throws(CompileError) -> CompileReport {
        var result = CompileReport(.compiled)
        do throws(ArtifactError) {
            try store.requireTrusted()
            try store.prepare()
        } catch { throw .artifact(error) }
        // A shard that is missing is reported before the others are read.
        if !source.checkpoint.absent.isEmpty { _ = try traced() }
        let isNameOwn = source.name.contains("/") || source.checkpoint.wasDigestedBefore
        let digests = try timed("digest", &result) { () throws(CompileError) in try digestedWeights() }
        result.digestedBytes = digests.readByteCount
        let key = key(digests)
        var damage: ArtifactError?
        if let path = try known(key, &damage) { return try hit(path, result) }
        return try translatingErrors {
            let lock = try store.buildLock(key) { report(.waiting) }
            defer { lock.release() }
            if let path = try known(key, &damage) { return try hit(path, result) }
            if let damage {
                report(.replacing(damage))
            } else if let nearest = store.nearest(to: key, model: source.name, isNameOwn: isNameOwn) {
                result.differences = nearest.differences
                report(.rebuilding(nearest.differences))
            } else {
                report(.beginning(model: source.name))
            }
            if remembersMachine { machine.remember(in: store) }
            return try compile(key, digests, result)
        }
    }

    /// Runs `body`; what it throws becomes a compile error.
    private func translatingErrors<R>(_ body: () throws -> R) throws(CompileError) -> R {
        do { return try body() } catch let error as ArtifactError {
            throw .artifact(error)
        } catch let error as CompileError {
            throw error
        } catch {
            throw .internalInconsistency("\(error)")
        }
    }

    /// What the store had, under the name that the model has now; observers see the passes all the same.
    private func hit(_ path: String, _ result: CompileReport) throws(CompileError) -> CompileReport {
        var result = result
        if !observers.isEmpty { _ = try lowered() }
        do throws(ArtifactError) { try Artifact.setModelName(source.name, directory: path) } catch { report(.keptName(error)) }
        result.outcome = .hit
        result.artifact = path
        return result
    }

    /// The artifact with this key, where it is wanted and intact; nil when it must be built.
    ///
    /// - Parameter damage: what is wrong with the one that is there; nil for nothing.
    private func known(_ key: ArtifactKey, _ damage: inout ArtifactError?) throws(CompileError) -> String? {
        damage = nil
        guard !options.isForced else { return nil }
        guard let output = options.output else {
            do throws(ArtifactError) { return try store.lookup(key) { damage = $0 } } catch { throw .artifact(error) }
        }
        guard let artifact = try? Artifact.open(directory: output), artifact.manifest.key == key else { return nil }
        do throws(ArtifactError) { try artifact.checkWeights(rereadsKnown: false) } catch {
            damage = error
            return nil
        }
        return output
    }

    private func digestedWeights() throws(CompileError) -> WeightDigests {
        report(.began(phase: "reading", total: source.checkpoint.byteCount))
        let report = report
        do throws(CheckpointError) {
            return try source.checkpoint.digests {
                report(.advanced(bytes: $0))
            }
        } catch { throw .checkpoint(error) }
    }

    private func key(_ digests: WeightDigests) -> ArtifactKey {
        ArtifactKey(
            checkpoint: digests.checkpoint, tensors: source.tensorDigest, configs: source.digests,
            pipeline: passes.passes.map { ArtifactKey.PassVersion(name: $0.name, version: $0.version) },
            rewriteLimit: options.rewriteLimit, target: options.target, precision: options.precision, rounding: options.rounding,
            roundingBound: options.roundingBound, calibration: options.rounding?.isCalibrated == true ? calibration?.digest : nil,
            takesAdapters: options.takesAdapters, innerStates: source.innerStatesRead ?? options.innerStates, arithmetic: arithmetic,
            limits: limits, kvElement: kvElement)
    }

    var kvElement: DType { options.precision == .exact ? .f32 : .bf16 }

    private func compile(
        _ key: ArtifactKey, _ digests: WeightDigests, _ start: CompileReport
    ) throws(CompileError) -> CompileReport {
        var result = start
        let (compiled, isReused) = try timed("passes", &result) { () throws(CompileError) in
            if let reused = reusedProgram(key) { return (reused, true) }
            return (try CompiledProgram(self, kvElement), false)
        }
        result.reusedProgram = isReused
        (result.passes, result.calibration) = (compiled.log.reports, compiled.calibrated?.report)
        result.memory = compiled.program.plans.map { plan in
            CompileReport.Memory(
                entry: "\(plan.entry)", steps: plan.steps.count, arenaBytes: plan.arenaBytes,
                unsharedBytes: plan.unsharedBytes)
        }
        let written = result
        let final = try timed("packing", &result) { () throws(CompileError) in
            try write(compiled, key, digests, written)
        }
        var report = final
        report.phases = result.phases
        return report
    }

    /// The program of a stored artifact whose weights alone differ; nil when there is none or passes are to run, which they are where the
    /// values of weights decide what is rounded.
    private func reusedProgram(_ key: ArtifactKey) -> CompiledProgram? {
        guard !options.isForced, options.rounding == nil, observers.isEmpty, let path = store.artifact(programKey: key.programKey),
            let earlier = try? Artifact.open(directory: path, recordsUse: false)
        else { return nil }
        return try? CompiledProgram(reusing: earlier, self, kvElement)
    }

    private func write(
        _ compiled: CompiledProgram, _ key: ArtifactKey, _ digests: WeightDigests, _ start: CompileReport
    ) throws(CompileError) -> CompileReport {
        var result = start
        return try translatingErrors {
            let writer = try ArtifactWriter(store: store, key: key, output: options.output)
            defer { writer.cancel() }
            try compiled.writeSections(to: writer, source)
            let packing = PackingRun(source, compiled, digests, options.isForced ? nil : store)
            try packing.write(to: writer, &result) { report($0) }
            do throws(CheckpointError) { try source.checkpoint.requireUnchanged() } catch { throw CompileError.checkpoint(error) }
            result.artifact = try writer.finish(
                program: compiled.program,
                provenance: Manifest.Provenance(
                    model: source.name, architecture: source.architecture, quantization: source.quantization?.names ?? [],
                    contextLength: source.contextLength),
                tuning: machine.tuning, golden: options.target.runsHere && source.innerStatesRead == nil ? golden : nil)
            result.weightBytes = writer.weightTable.reduce(0) { $0 + $1.byteCount }
            return result
        }
    }

    private func timed<R>(
        _ phase: String, _ result: inout CompileReport, _ body: () throws(CompileError) -> R
    ) throws(CompileError) -> R {
        let start = clock.now
        let value = try body()
        let parts = (clock.now - start).components
        result.phases.append(
            CompileReport.Phase(name: phase, seconds: Double(parts.seconds) + Double(parts.attoseconds) * 1e-18))
        return value
    }
}
