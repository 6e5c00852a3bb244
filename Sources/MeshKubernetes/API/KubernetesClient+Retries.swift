// SPDX-License-Identifier: Apache-2.0

extension KubernetesClient {
    /// How often a request is sent at most.
    public static let attempts = 5

    /// Sends a request until it is answered for good, with growing pauses in between.
    ///
    /// Only what does no harm twice is sent again after silence or a fault of the server; what a
    /// server refused unseen (429), everything.
    public func answerRetrying(
        _ request: ObjectRequest, attempts: Int = attempts
    ) async throws(KubernetesError) -> [UInt8] {
        var backoff = KubernetesBackoff(first: .milliseconds(200), longest: .seconds(10))
        var generator = SystemRandomNumberGenerator()
        while true {
            do throws(KubernetesError) {
                return try await answer(to: request)
            } catch {
                guard error.mayPass(repeating: request), backoff.failures + 1 < attempts else {
                    throw error
                }
                let pause = backoff.next(retryAfter: error.retryAfter, using: &generator)
                do { try await Task.sleep(for: pause) } catch { throw cancelled }
            }
        }
    }
}

private let cancelled = KubernetesError(.unavailable, "cancelled")

extension KubernetesError {
    fileprivate func mayPass(repeating request: ObjectRequest) -> Bool {
        switch code {
        case .throttled: true
        case .unavailable, .timedOut, .server: request.isIdempotent
        // The token may have been replaced just now.
        case .unauthorized: true
        default: false
        }
    }
}
