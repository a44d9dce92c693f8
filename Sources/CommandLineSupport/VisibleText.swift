extension String {
    /// The text as it may be sent to a terminal: control and format characters other than those of `kept` are spelled out.
    package func visible(keeping kept: Set<Unicode.Scalar> = []) -> String {
        func isShown(_ scalar: Unicode.Scalar) -> Bool {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator: kept.contains(scalar)
            default: true
            }
        }
        guard !unicodeScalars.allSatisfy(isShown) else { return self }
        return unicodeScalars.map { isShown($0) ? String($0) : "\\u{\(String($0.value, radix: 16))}" }.joined()
    }
}
