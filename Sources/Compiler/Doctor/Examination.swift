package import ArtifactFormat
import HuggingFace
import Inputs
import JSON
package import Models
import Plan
import Tensors

/// Looks at a model directory as a compile does, and goes on after a fault, so that all of them are told at once.
///
/// Of weights only the headers are read.
package struct Examination {
    package private(set) var diagnosis: Diagnosis
    private let options: CompileOptions
    private let store: Store
    private let table: FamilyTable
    private let threads: Int
    /// Names of files that are there and cannot be read.
    private var unreadable: Set<String> = []

    /// - Parameters:
    ///   - store: where rates are remembered.
    ///   - threads: how many would compute.
    package init(_ options: CompileOptions, store: Store, threads: Int, families: FamilyTable = .standard) {
        diagnosis = Diagnosis(directory: options.directory)
        self.options = options
        self.store = store
        self.threads = threads
        table = families
    }

    /// - Parameter machine: the machine whose rates choose kernels; asked for where nothing else is wrong.
    package mutating func run(machine: () throws -> Machine) rethrows {
        let given = options.directory
        let opened = attempt { () throws(CheckpointError) in try ModelDirectory.examined(given) }
        guard let (files, faults) = opened else { return }
        (diagnosis.directory, diagnosis.name) = (files.path, files.name)
        guard attempt({ () throws(CheckpointError) in try Checkpoint.list(files.path) }) != nil else { return }
        faults.forEach { diagnosis.add(fault: $0) }
        unreadable = Set(faults.map { String($0.file.dropFirst(files.path.count + 1)) })
        let definition = family(files)
        let (tokenizer, template) = texts(files)
        var inputs: InputSpec?
        if let definition, let tokenizer {
            inputs = attempt { () throws(CheckpointError) in try files.inputs(of: definition, tokenizer) }
            inputs = inputs.map { $0.tried(with: template ?? FoundTemplate(family: $0)) }
            diagnosis.media = inputs.map { MediaTaken($0) }
            diagnosis.warnings += inputs.map { ModelSource.warnings(of: $0, in: files.path) } ?? []
        }
        let checkpoint = weights(files)
        tellDocuments(files, areRead: definition == nil)
        if let definition, let checkpoint {
            if let tokenizer, let inputs, diagnosis.faults.isEmpty {
                let quantization = (try? files.config().quantization()) ?? nil
                let source = ModelSource(files, checkpoint, definition, tokenizer, inputs, template, quantization)
                try plans(source, machine: machine)
            } else {
                compareTensors(definition, checkpoint)
            }
        }
        diagnosis.wouldCompile = diagnosis.faults.isEmpty
        guard diagnosis.wouldCompile else {
            diagnosis.unknown.append("memory and speed: only what would compile is planned")
            return
        }
        diagnosis.unknown.append("whether all weights are finite numbers: compiling reads them")
        if let rounding = options.rounding {
            diagnosis.unknown.append("how far \(rounding.rawValue) takes each layer's weight: compiling measures it, and keeps a layer where it is too far")
        }
    }

    /// JSON files that cannot be parsed: faults where they may have been needed, else warnings.
    private mutating func tellDocuments(_ files: ModelDirectory, areRead: Bool) {
        for (name, error) in files.documentFaults where !TokenizerSource.reads(name) && !diagnosis.faults.contains("\(error)") {
            if areRead { diagnosis.add(fault: error) } else { diagnosis.warnings.append("\(error)") }
        }
    }

    /// The value, or nil and a fault.
    private mutating func attempt<R, E: Error>(_ body: () throws(E) -> R) -> R? {
        do { return try body() } catch {
            // That a file is missed which cannot be read is told already.
            let checkpoint = error as? CheckpointError
            let isTold = checkpoint?.reason == .missing && unreadable.contains { checkpoint?.file.hasSuffix("/\($0)") ?? false }
            if !isTold { diagnosis.add(fault: error) }
            return nil
        }
    }

    /// The definition; nil where there is none, with every reason that can be found.
    private mutating func family(_ files: ModelDirectory) -> (any ModelDefinition)? {
        guard !unreadable.contains("config.json"), let config = attempt({ () throws(CheckpointError) in try files.config() }) else { return nil }
        let outline = ModelOutline(config)
        diagnosis.architectures = config.architectures
        diagnosis.quantization = outline.quantization
        diagnosis.quantize = options.rounding?.rawValue
        (diagnosis.decoder, diagnosis.vision) = (outline.decoder.map { Diagnosis.Part($0) }, outline.vision.map { Diagnosis.Part($0) })
        let isRead = attempt { () throws(CheckpointError) in _ = try config.quantization() } != nil
        let table = table
        guard let family = attempt({ () throws(CheckpointError) in try table.family(of: config) }) else { return nil }
        diagnosis.family = family.title
        // What else is wrong shows where nothing is quantized.
        let looked = isRead ? files : files.replacing("config.json", with: config.unquantized)
        guard let definition = attempt({ () throws(CheckpointError) in try family.init(looked) }) else { return nil }
        describe(definition.geometry)
        guard isRead else {
            diagnosis.unknown.append("whether the tensors are those of config.json: what they are quantized by is not known")
            return nil
        }
        return definition
    }

    private mutating func describe(_ geometry: ModelGeometry) {
        var decoder = diagnosis.decoder ?? Diagnosis.Part()
        (decoder.layers, decoder.width, decoder.heads) = (geometry.layers, geometry.hiddenSize, geometry.heads)
        (decoder.kvHeads, decoder.vocabulary, decoder.context) = (geometry.kvHeads, geometry.vocabularySize, geometry.maxPositions)
        diagnosis.decoder = decoder
    }

    private mutating func texts(_ files: ModelDirectory) -> (tokenizer: Tokenizer?, template: FoundTemplate?) {
        let isWhole = !unreadable.contains { TokenizerSource.reads($0) }
        let tokenizer = isWhole ? attempt { () throws(CheckpointError) in try files.tokenizer() } : nil
        if let tokenizer {
            diagnosis.tokenizer = Diagnosis.Texts(file: files.tokenizerFile, tokens: tokenizer.vocabularySize)
            diagnosis.warnings += ModelSource.warnings(of: tokenizer, in: files.path)
        }
        let template = attempt { () throws(CheckpointError) in try files.chatTemplate() } ?? nil
        if let template { diagnosis.template = Diagnosis.Texts(file: template.file) }
        if unreadable.isDisjoint(with: ModelDirectory.templateNames) { diagnosis.warnings += ModelSource.warnings(of: template, in: files.path) }
        return (tokenizer, template)
    }

    private mutating func weights(_ files: ModelDirectory) -> Checkpoint? {
        let (checkpoint, faults) = Checkpoint.examined(directory: files.path)
        faults.forEach { diagnosis.add(fault: $0) }
        diagnosis.warnings += UnfinishedDownload.parts(of: files.path).map { "\($0): is a part of a file; its download did not end" }
        guard let checkpoint else { return nil }
        diagnosis.weights = Diagnosis.Weights(
            files: checkpoint.files.count, bytes: checkpoint.byteCount, tensors: checkpoint.tensors.count,
            elements: Dictionary(checkpoint.tensors.map { ($0.type.element.rawValue, 1) }, uniquingKeysWith: +))
        guard faults.isEmpty else {
            diagnosis.unknown.append("whether the tensors are those of config.json: not all files can be read")
            return nil
        }
        return checkpoint
    }

    /// Compares names and types of the tensors with what the configuration implies, where there is nothing to plan for.
    private mutating func compareTensors(_ definition: any ModelDefinition, _ checkpoint: Checkpoint) {
        let bounds = TraceBounds(
            tokens: CompileOptions.defaultMaxBatchedTokens, rows: CompileOptions.defaultMaxSequences,
            slots: definition.geometry.maxPositions, imageRows: CompileOptions.defaultMaxBatchedTokens, patches: 1 << 14, features: 1 << 14)
        traced(checkpoint) { () throws(CompileError) in
            do throws(CheckpointError) {
                _ = try definition.trace(CheckpointTypes(checkpoint), bounds: bounds)
            } catch { throw .checkpoint(error) }
        }
    }

    /// Runs a trace; shards that are missing are the reason why tensors are, and no fault where none is.
    private mutating func traced(_ checkpoint: Checkpoint, _ body: () throws(CompileError) -> Void) {
        let missing = checkpoint.missingShards
        do throws(CompileError) {
            try body()
            diagnosis.warnings += missing.map { "\($0)" }
        } catch {
            missing.forEach { diagnosis.add(fault: $0) }
            if case .checkpoint(let error) = error, error.reason == .missing, !missing.isEmpty { return }
            diagnosis.add(fault: error)
        }
    }

    /// Lays the model out for this machine and counts what it takes.
    private mutating func plans(_ source: ModelSource, machine: () throws -> Machine) rethrows {
        diagnosis.image = source.usualImage
        let measured = try machine()
        let (options, store) = (options, store)
        let compilation = attempt { () throws(CompileError) in
            var compilation = try Compilation(source, options: options, store: store, machine: measured) { _ in }
            compilation.measuresRounding = false
            return compilation
        }
        guard let compilation else { return compareTensors(source.definition, source.checkpoint) }
        var program: CompiledProgram?
        traced(source.checkpoint) { () throws(CompileError) in program = try CompiledProgram(compilation, compilation.kvElement) }
        guard let program else { return }
        let estimate = Estimate(program, compilation, image: diagnosis.image, threads: threads)
        (diagnosis.memory, diagnosis.speed) = (estimate.memory, estimate.speed)
    }
}

extension ModelConfig {
    /// `config.json` as it would be if nothing were quantized.
    fileprivate var unquantized: JSONValue {
        let key = "quantization_config"
        var members = original.objectValue ?? [:]
        members[key] = nil
        for section in ["text_config", "llm_config"] {
            guard var inner = members[section]?.objectValue else { continue }
            inner[key] = nil
            members[section] = .object(inner)
        }
        return .object(members)
    }
}

extension Diagnosis.Part {
    fileprivate init(_ part: ModelOutline.Part) {
        self.init(type: part.type, layers: part.layers, width: part.width, heads: part.heads, patchSize: part.patchSize)
    }
}
