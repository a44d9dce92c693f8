/// What Git LFS leaves in a checkout in the place of a file that was not fetched: a few lines of text with the file's digest.
package enum LargeFilePointer {
    private static let beginnings = ["version https://git-lfs.github.com/spec/", "version https://hawser.github.com/spec/"]

    /// Whether a file with these bytes is a pointer.
    package static func isPointer(_ bytes: some Collection<UInt8>) -> Bool {
        beginnings.contains { bytes.starts(with: $0.utf8) }
    }

    /// What is said about a pointer where a file was expected.
    package static func error(_ path: String) -> CheckpointError {
        CheckpointError(.missing, file: path, "is a Git LFS pointer, not the file; run git lfs pull in the model's repository")
    }
}
