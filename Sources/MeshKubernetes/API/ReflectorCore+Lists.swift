// SPDX-License-Identifier: Apache-2.0

import MeshModel

extension ReflectorCore {
    /// A page of objects at most stands between `listBegan` and the state's being the server's.
    mutating func take(
        _ page: ObjectPage, at now: Instant, using generator: inout some RandomNumberGenerator,
        into effects: inout [Effect]
    ) {
        if !page.objects.isEmpty { effects.append(.deliver(.listed(page.objects))) }
        if let token = page.continueToken {
            // Nothing is asked twice in a row without a pause only because the server says so: each
            // page brings objects, or it waits.
            let next = Page(limit: pageLimit, continueToken: token)
            let pause =
                page.objects.isEmpty && page.unusableCount == 0
                ? watchPause.next(using: &generator) : .zero
            self.pause(.page(next), for: pause, at: now)
            return
        }
        endList(page.resourceVersion, into: &effects)
        pause(.watch, for: .zero, at: now)
    }

    mutating func takeInitial(
        _ event: WatchEvent, at now: Instant, using generator: inout some RandomNumberGenerator,
        into effects: inout [Effect]
    ) {
        switch event {
        case .added(let object), .modified(let object):
            effects.append(.deliver(.listed([object])))
        // Between the list's version and its end, the server lets changes through.
        case .deleted(let object):
            effects.append(
                .deliver(.removed(object.name, resourceVersion: object.resourceVersion)))
        case .bookmark(let version, endsInitialEvents: true):
            endList(version, into: &effects)
            streamingFailures = 0
            // The same request goes on as a watch.
            phase = .watching
            began = now
        case .error(let error):
            failStreaming(error, at: now, using: &generator, into: &effects, isEvent: true)
        case .bookmark, .unusable: break
        }
    }

    private mutating func endList(_ version: String, into effects: inout [Effect]) {
        self.version = version
        absences = 0
        doubts = 0
        effects.append(.deliver(.listEnded(resourceVersion: version)))
        tell(.synced, nil, into: &effects)
    }

    // MARK: Failures

    mutating func fail(
        _ page: Page, _ error: KubernetesError, at now: Instant,
        using generator: inout some RandomNumberGenerator, into effects: inout [Effect]
    ) {
        switch error.code {
        case .notFound where isOptional:
            return miss(error, at: now, using: &generator, into: &effects)
        case .expired, .invalid:
            // The server offers a token to go on with objects of another version. That would be a
            // state it never had; beginning again with larger pages ends sooner.
            pageLimit = min(max(pageLimit, page.limit) * 2, parameters.pageLimitMaximum)
            return relist(after: error, at: now, using: &generator, into: &effects)
        case .tooLarge: pageLimit = max(page.limit / 4, 1)
        default: break
        }
        tell(isSynced ? .stale : .connecting, error, into: &effects)
        // What was listed so far still counts: only this page is asked for again.
        let pause = listPause.next(retryAfter: error.retryAfter, using: &generator)
        self.pause(
            page.continueToken == nil
                ? .list : .page(Page(limit: pageLimit, continueToken: page.continueToken)),
            for: pause, at: now)
    }

    mutating func failStreaming(
        _ error: KubernetesError, at now: Instant,
        using generator: inout some RandomNumberGenerator, into effects: inout [Effect],
        isEvent: Bool = false
    ) {
        if isOpen { streamingFailures += 1 }
        switch error.code {
        case .notFound where isOptional:
            return miss(error, at: now, using: &generator, into: &effects)
        // 1.26 and older refuse the parameters; 1.27 to 1.31 with the feature off, too.
        case .invalid: offersStreaming = false
        // An etcd without progress notifications says so in the stream. A server that takes the
        // request for a plain watch never says that the list has ended.
        case .server where isEvent, .timedOut where isOpen: offersStreaming = false
        default:
            if streamingFailures >= Self.streamingFailuresMaximum { offersStreaming = false }
        }
        guard offersStreaming else {
            // What was just refused is no failure of the list that follows.
            return pause(.list, for: listPause.next(using: &generator), at: now)
        }
        relist(after: error, at: now, using: &generator, into: &effects)
    }

    mutating func relist(
        after error: KubernetesError, at now: Instant,
        using generator: inout some RandomNumberGenerator, into effects: inout [Effect]
    ) {
        tell(isSynced ? .stale : .connecting, error, into: &effects)
        let pause = listPause.next(retryAfter: error.retryAfter, using: &generator)
        self.pause(.list, for: pause, at: now)
    }

    /// The server doesn't have the resource. One that it had is only believed to be gone after
    /// several looks: a server that is starting doesn't know all of its resources.
    private mutating func miss(
        _ error: KubernetesError, at now: Instant,
        using generator: inout some RandomNumberGenerator, into effects: inout [Effect]
    ) {
        absences += 1
        if isSynced, absences < Self.absencesMaximum {
            return relist(after: error, at: now, using: &generator, into: &effects)
        }
        if told?.phase != .absent {
            effects.append(.deliver(.listBegan))
            effects.append(.deliver(.listEnded(resourceVersion: "")))
        }
        version = nil
        tell(.absent, nil, into: &effects)
        let share = Double.random(in: 1..<1.5, using: &generator)
        pause(.list, for: parameters.absentRetry * share, at: now)
    }
}
