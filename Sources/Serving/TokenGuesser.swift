internal import Execution

/// What guesses how sequences go on, beside the model that answers.
protocol TokenGuesser: AnyObject {
    /// Warms `extend` and each decode gear.
    func warm() throws(BackendError)

    /// Guesses what the scheduler wants of the batch that it has composed.
    ///
    /// - Parameter notesTimes: whether the scheduler is told how long steps take.
    func guess(for scheduler: inout Scheduler, notesTimes: Bool) throws(BackendError)

    /// Takes note of a batch that the model has computed, once its tokens are taken and before sequences that have ended are forgotten.
    ///
    /// - Parameter io: with the batch, and what the model has left.
    func read(_ batch: Batch, _ io: StepIO, _ scheduler: Scheduler, _ requests: [Int: ActiveRequest]) throws(BackendError)

    /// Takes note of places of the model's cache whose content is at other places as well.
    func copy(_ copies: CacheCopies)
}

extension DraftConfiguration {
    /// The guesser that the model is, with memory for all that it does.
    ///
    /// - Parameter configuration: of the model that answers.
    func guesser(_ model: any LoadedModel, _ configuration: EngineConfiguration) throws(BackendError) -> any TokenGuesser {
        isHead ? try DraftHead(model, self, of: configuration) : try DraftModel(model, self, of: configuration)
    }
}
