// SPDX-License-Identifier: Apache-2.0

import MeshModel

extension ReflectorCore {
    mutating func take(
        _ event: WatchEvent, at now: Instant, using generator: inout some RandomNumberGenerator,
        into effects: inout [Effect]
    ) {
        settle(at: now)
        switch event {
        case .added(let object), .modified(let object):
            version = object.resourceVersion
            effects.append(.deliver(.changed(object)))
        case .deleted(let object):
            version = object.resourceVersion
            effects.append(
                .deliver(.removed(object.name, resourceVersion: object.resourceVersion)))
        case .bookmark(let version, _):
            self.version = version
            effects.append(.deliver(.reached(resourceVersion: version)))
        case .error(let error):
            return failWatch(error, at: now, using: &generator, into: &effects)
        case .unusable: return
        }
        doubts = 0
    }

    mutating func failWatch(
        _ error: KubernetesError, at now: Instant,
        using generator: inout some RandomNumberGenerator, into effects: inout [Effect]
    ) {
        settle(at: now)
        switch error.code {
        // The answer's status, or an ERROR event in a watch that began well: the version is gone.
        case .expired, .notFound, .invalid:
            return relist(after: error, at: now, using: &generator, into: &effects)
        // A replica that lags knows the version soon; a server that lost its history never.
        case .versionTooLarge, .malformed:
            doubts += 1
            if doubts >= Self.doubtsMaximum {
                doubts = 0
                return relist(after: error, at: now, using: &generator, into: &effects)
            }
        default: break
        }
        resume(after: error, at: now, using: &generator, into: &effects)
    }

    /// Goes on from the last version seen.
    mutating func resume(
        after error: KubernetesError?, at now: Instant,
        using generator: inout some RandomNumberGenerator, into effects: inout [Effect]
    ) {
        let isSettled = settle(at: now)
        if let error { tell(.stale, error, into: &effects) }
        let pause =
            isSettled && error == nil
            ? Duration.zero : watchPause.next(retryAfter: error?.retryAfter, using: &generator)
        self.pause(.watch, for: pause, at: now)
    }

    /// Only a watch that lasted shows that the server is well again.
    @discardableResult
    private mutating func settle(at now: Instant) -> Bool {
        guard now - began >= parameters.settledAfter else { return false }
        listPause.reset()
        watchPause.reset()
        pageLimit = parameters.pageLimit
        return true
    }
}
