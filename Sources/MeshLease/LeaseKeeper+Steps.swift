// SPDX-License-Identifier: Apache-2.0

import MeshModel

extension LeaseKeeper {
    mutating func watch(until now: Instant) {
        if let lastStep { watched += min(max(now - lastStep, .zero), parameters.watchedAtOnce) }
        lastStep = now
    }

    /// Steps down when the time is up, sends what is due, and says when to come back.
    mutating func proceed(
        at now: Instant, using generator: inout some RandomNumberGenerator,
        into effects: inout [LeaseEffect]
    ) {
        expire(at: now, into: &effects)
        // A record of my own is news of a swap whose answer is still to come, or is due anyway.
        let mayAct = isFree && !ownsRecord || known == Known(state: nil)
        if phase == .candidate, mayAct, tried != known { nextCall = now }
        if now >= nextCall {
            if let request = nextRequest {
                send(request, at: now, into: &effects)
                nextCall = now + shortened(parameters.retry, using: &generator)
            } else {
                nextCall = Instant(nanoseconds: .max)
            }
        }
        wake = nextCall
        switch phase {
        case .candidate:
            if known != nil, tried != known, !ownsRecord {
                wake = min(wake, now + max(parameters.waiting - watched, .zero))
            }
        case .holding(_, let until): wake = min(wake, until)
        case .withdrawn: break
        }
    }

    mutating func expire(at now: Instant, into effects: inout [LeaseEffect]) {
        guard case .holding(_, let until) = phase, now >= until else { return }
        lose(.expired, at: now, into: &effects)
    }

    mutating func lose(_ loss: LeaseLoss, at now: Instant, into effects: inout [LeaseEffect]) {
        phase = .candidate
        // What is under way belongs to this tenure and mustn't revive it.
        outstanding.removeAll()
        wantedEpoch = nil
        wantedIdentities = nil
        nextCall = now
        effects.append(.lost(loss))
    }

    // MARK: Asking

    /// Whether nobody can believe to hold the lease, given what is known of the record.
    private var isFree: Bool {
        guard let record = known?.state?.record else { return false }
        return watched >= parameters.waiting || record.holder == nil || record.holder == holder
    }

    private mutating func send(
        _ request: LeaseCall.Request, at now: Instant, into effects: inout [LeaseEffect]
    ) {
        if case .swap = request { tried = known }
        lastID += 1
        let call = LeaseCall(id: lastID, request: request)
        outstanding.append(Outstanding(call: call, sent: now))
        outstanding.removeFirst(max(outstanding.count - Self.outstandingMaximum, 0))
        effects.append(.call(call))
    }

    /// Nil when there is nothing left to do.
    private var nextRequest: LeaseCall.Request? {
        switch phase {
        case .candidate:
            guard let known else { return .read }
            var record = floor
            guard let state = known.state else {
                // Perhaps the record was deleted under a holder who still believes. Absence has no
                // version, so a swap of it that was long under way could succeed at the wrong time:
                // it makes a record, and the time to wait counts from there.
                record.holder = .nobody
                return .swap(record, replacing: nil)
            }
            guard isFree else { return .read }
            record.holder = holder
            // An attempt of mine that took effect unheard is confirmed, not outdone.
            let isConfirmation =
                ownsRecord && state.record.token == record.token && record.token > spent
            if !isConfirmation { record.token += 1 }
            return .swap(record, replacing: state.version)
        case .holding(let token, _):
            var record = floor
            record.holder = holder
            record.token = token
            record.epoch = max(record.epoch, wantedEpoch ?? 0)
            record.identities = max(record.identities, wantedIdentities?.upperBound ?? 0)
            return .swap(record, replacing: known?.state?.version)
        case .withdrawn:
            guard ownsRecord, let version = known?.state?.version else { return nil }
            var record = floor
            record.holder = nil
            return .swap(record, replacing: version)
        }
    }

    private func shortened(
        _ duration: Duration, using generator: inout some RandomNumberGenerator
    ) -> Duration {
        duration * (1 - parameters.jitter * Double.random(in: 0..<1, using: &generator))
    }

    // MARK: Answers

    mutating func handle(
        _ answer: LeaseAnswer, to asked: Outstanding, at now: Instant,
        into effects: inout [LeaseEffect]
    ) {
        switch (asked.call.request, answer) {
        case (.read, .read(let state)):
            if case .holding = phase { return }
            adopt(state, into: &effects)
        case (.swap(let record, _), .swap(.swapped(let version))):
            adopt(LeaseState(record: record, version: version), into: &effects)
            succeed(with: record, sent: asked.sent, at: now, into: &effects)
        case (.swap, .swap(.conflict(let state))):
            adopt(state, into: &effects)
            if case .holding(let token, _) = phase {
                guard let record = state?.record, record.holder == holder, record.token == token
                else { return lose(.deposed, at: now, into: &effects) }
                // An earlier swap of mine took effect without my knowing: its answer was lost.
                confirm(record, into: &effects)
            }
            // What was tried already, by a later swap or because the store contradicts itself, waits.
            if phase != .candidate, tried != known { nextCall = now }
        case (_, .failed(let error)): effects.append(.failed(error))
        case (.read, .swap), (.swap, .read): return
        }
    }

    private mutating func succeed(
        with record: LeaseRecord, sent: Instant, at now: Instant, into effects: inout [LeaseEffect]
    ) {
        let until = sent + parameters.holding
        switch phase {
        case .candidate:
            // The answer may have taken longer than the lease lasts.
            guard record.holder == holder, now < until else { return }
            phase = .holding(token: record.token, until: until)
            spent = record.token
            outstanding.removeAll { $0.sent <= sent }
            nextCall = max(sent + parameters.renewal, now)
            if let tenure = tenure(at: now) { effects.append(.acquired(tenure)) }
        case .holding(let token, let former):
            phase = .holding(token: token, until: max(until, former))
            outstanding.removeAll { $0.sent <= sent }
            confirm(record, into: &effects)
            let hasWishes = wantedEpoch != nil || wantedIdentities != nil
            nextCall = hasWishes ? now : max(sent + parameters.renewal, now)
        case .withdrawn:
            nextCall = now
        }
    }

    private mutating func confirm(_ record: LeaseRecord, into effects: inout [LeaseEffect]) {
        if let wantedEpoch, record.epoch >= wantedEpoch {
            self.wantedEpoch = nil
            effects.append(.opened(epoch: wantedEpoch))
        }
        if let wantedIdentities, record.identities >= wantedIdentities.upperBound {
            self.wantedIdentities = nil
            effects.append(.reserved(wantedIdentities))
        }
    }

    mutating func adopt(_ state: LeaseState?, into effects: inout [LeaseEffect]) {
        let isFirst = known == nil
        let former = known?.state
        guard isFirst || former?.version != state?.version else { return }
        known = Known(state: state)
        watched = .zero
        if let record = state?.record { floor = floor.raised(to: record) }
        if isFirst || former?.record.holder != state?.record.holder
            || former?.record.token != state?.record.token
        {
            effects.append(.observed(state?.record))
        }
    }
}
