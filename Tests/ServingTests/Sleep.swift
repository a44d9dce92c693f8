import Foundation

/// Holds the calling thread up, as a slow model does.
func usleepMilliseconds(_ count: Int) { Thread.sleep(forTimeInterval: Double(count) / 1000) }
