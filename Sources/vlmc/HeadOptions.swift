import ArgumentParser
import ArtifactFormat
import Compiler

/// A model and the head that guesses its tokens, of which each is an artifact.
struct HeadOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Have the model give the hidden states that this EAGLE head reads; the model compiled so is served with the head, or without.", valueName: "head"))
    var speculativeModel: String?

    @Option(help: ArgumentHelp("DIRECTORY holds an EAGLE head that guesses tokens of this model, whose directory it is: compile the head.", valueName: "model"))
    var headOf: String?

    func validate() throws {
        if headOf != nil, speculativeModel != nil { throw ValidationError("--head-of and --speculative-model: a head reads hidden states of a model, not of a head") }
    }

    /// What is compiled of a directory; says in `options` what a head reads of it.
    func source(_ options: inout CompileOptions, _ store: Store) throws -> ModelSource {
        let directory = options.directory
        func head(_ name: String, of model: ModelSource) throws -> HeadSource {
            try Failure.wrapping { () throws(CompileError) in try HeadSource(directory: name, of: model, store: store) }
        }
        func model(_ directory: String) throws -> ModelSource {
            try Failure.wrapping { () throws(CompileError) in try ModelSource(directory: directory, store: store) }
        }
        if let headOf {
            let head = try head(directory, of: model(ModelName.directory(headOf)))
            return try Failure.wrapping { () throws(CompileError) in try head.source() }
        }
        let source = try model(directory)
        if let speculativeModel { options.innerStates = try head(ModelName.directory(speculativeModel), of: source).innerStates }
        return source
    }
}
