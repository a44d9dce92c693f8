import Foundation

/// The processor time that work takes on its thread, which other tests beside it do not lengthen.
package func threadTime(_ work: () throws -> Void) rethrows -> Duration {
    let began = nanoseconds()
    try work()
    return .nanoseconds(nanoseconds() - began)
}

private func nanoseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}
