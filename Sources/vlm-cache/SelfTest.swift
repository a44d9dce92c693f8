import ArtifactFormat

/// The backend that runs golden self-tests.
enum SelfTest {
    /// Runs a golden test of the artifact and says what is wrong, nil when it passes; no runner where none can run it.
    static func runner(for artifact: Artifact) -> ((Golden) -> String?)? { nil }
}
